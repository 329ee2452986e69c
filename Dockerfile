# docker build --tag temporal-registration .
# docker run --rm --volume "$PWD:/data" temporal-registration register --input /data/cine.nii.gz --output /data/out
FROM python:3.12-slim

WORKDIR /opt/temporal-registration
COPY pyproject.toml README.md LICENSE.txt ./
COPY DeepRegLogic DeepRegLogic
COPY Resources Resources
# the small build of torch; leave this line out for that with CUDA
RUN pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir ".[report,cohort]" && rm -rf build *.egg-info
# the bundled sample is registered once: an image that cannot do that is none
RUN temporal-registration register --input Resources/SampleData/four-chamber.seq.nrrd \
    --labels Resources/SampleData/four-chamber.seg.nrrd --reference 0 --output /tmp/demo && rm -rf /tmp/demo

WORKDIR /data
ENTRYPOINT ["temporal-registration"]
