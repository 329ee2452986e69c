"""Training DragNet: what its objective is made of, and that it goes down."""

from dataclasses import replace

import pytest
import torch

from DeepRegLogic import flow
from DeepRegLogic.errors import InputError
from DeepRegLogic.training.configuration import BUNDLED, read_configuration


def small(name, **loss):
    configuration = read_configuration(name)
    arguments = dict(configuration.arguments)
    if "size" in arguments:
        arguments["size"] = "tiny"
    return replace(
        configuration,
        arguments=arguments,
        data=replace(configuration.data, pool=4, validation=1, size=(32, 32), spacing=6.0, frames=(2, 3)),
        optimiser=replace(configuration.optimiser, steps=4, batch=2, validate_every=2, precision="32-true"),
        loss=replace(configuration.loss, **loss),
    )


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 4, 1, 32, 32, generator=generator)
    return {
        "reference": images[:, 0],
        "frames": images[:, 1:],
        "phase": torch.tensor([[0.0, 0.2, 0.5, 0.8]] * 2),
        "displacement": flow.smooth(10 * torch.randn(6, 2, 32, 32, generator=generator), 5.0).unflatten(0, (2, 3)),
        "weight": torch.ones(2, 1, 32, 32),
    }


def task_of(configuration):
    from DeepRegLogic.networks import build
    from DeepRegLogic.training.tasks import TASKS

    torch.manual_seed(0)
    network = build(configuration.network, **configuration.arguments)

    class Task(TASKS[network.training_task]):
        global_step = 3
        terms: dict

        def log_dict(self, values, **_):
            self.terms = {key.partition("/")[2]: float(value) for key, value in values.items()}

        def log(self, *_, **__):
            pass

    return Task(network, configuration)


def test_the_objective_has_every_term(batch):
    task = task_of(small("dragnet-cardiac", motion=0.01))
    total = task.training_step(batch, 0)
    assert set(task.terms) == {
        "similarity",
        "smooth",
        "time",
        "end_point",
        "likelihood",
        "foresight",
        "beat",
        "latent",
        "motion",
    }
    assert sum(task.terms.values()) == pytest.approx(total.item(), rel=1e-5)
    published = task_of(small("dragnet-published"))
    published.training_step(batch, 0)
    assert set(published.terms) == {"similarity", "smooth", "latent", "motion"}


@pytest.mark.parametrize("source", ["phantoms", "folder"])
@pytest.mark.parametrize("name", sorted(path.stem for path in BUNDLED.glob("*.yaml")))
def test_every_parameter_that_is_trained_gets_a_gradient(batch, name, source):
    """Several GPUs wait for the gradients of all of them."""
    configuration = small(name)
    data = replace(configuration.data, source=source, folder="somewhere", kinds=("short-axis",))
    task = task_of(replace(configuration, data=data))
    if configuration.network == "pyramid" and not data.has_truth:
        with pytest.raises(InputError, match="learns from known motion"):
            task.training_step({key: batch[key] for key in ("reference", "frames", "phase")}, 0)
        return
    if configuration.arguments.get("frames"):  # lemniscates, one block for every time
        batch = {**batch, "frames": batch["frames"][:, :1].expand(-1, 11, -1, -1, -1)}
        del batch["displacement"]
    if not data.has_truth:
        batch = {key: batch[key] for key in ("reference", "frames", "phase")}
    task.training_step(batch, 0).backward()
    without = [key for key, value in task.named_parameters() if value.requires_grad and value.grad is None]
    assert not without
    trained = sum(value.numel() for value in task.parameters() if value.requires_grad)
    assert trained > 0.9 * sum(value.numel() for value in task.parameters())


def test_the_price_of_the_latent_rises_where_it_is_said_so(batch):
    published, own = (small(name) for name in ("dragnet-published", "dragnet-cardiac"))
    assert published.loss.latent_rise == (0.0, 0.0)
    assert own.loss.latent_rise == (0.4, 0.7)
    found = []
    for steps in (3, 6, 100):  # this is step 3
        configuration = replace(own, optimiser=replace(own.optimiser, steps=steps))
        task = task_of(configuration)
        torch.manual_seed(0)
        task.training_step(batch, 0)
        found.append(task.terms["latent"])
    assert found[1] == pytest.approx(found[0] / 3, rel=1e-3)  # (3 - 2.4) / (4.2 - 2.4)
    assert found[2] == 0
    task = task_of(replace(published, optimiser=replace(published.optimiser, steps=10**6)))
    task.training_step(batch, 0)
    assert task.terms["latent"] > 0


def test_the_likelihood_teaches_the_covariance_alone(batch):
    task = task_of(small("dragnet-cardiac"))
    posterior = task.network.posterior(batch["reference"], batch["frames"])
    task._likelihood(posterior, batch)[0].backward()
    head = task.network.head
    assert head.log_variance.weight.grad.abs().max() > 0
    assert head.factor.weight.grad.abs().max() > 0
    assert head.mean.weight.grad is None


def test_steps_on_one_batch_bring_the_objective_down(batch):
    task = task_of(small("dragnet-cardiac"))
    optimiser = torch.optim.Adam(task.parameters(), lr=3e-3)
    found = []
    for _ in range(30):
        optimiser.zero_grad()
        torch.manual_seed(1)
        loss = task.training_step(batch, 0)
        loss.backward()
        optimiser.step()
        found.append(loss.item())
    assert found[-1] < 0.9 * found[0]


@pytest.mark.parametrize("name", ["dragnet-cardiac", "dragnet-published"])
def test_a_run_writes_a_model_of_the_zoo(name, tmp_path):
    from DeepRegLogic import zoo
    from DeepRegLogic.training.run import train

    card = train(small(name), tmp_path / "run", device="cpu", progress=False)
    assert card.network == read_configuration(name).network
    assert card.capabilities == ("generate", "register", "uncertainty")
    network = zoo.load_model(tmp_path / "run" / "model").network
    assert network(torch.rand(1, 1, 32, 32), torch.rand(1, 2, 1, 32, 32)).isfinite().all()
    if name == "dragnet-cardiac":
        assert 0 <= card.results["validation covered_90"] <= 1


def test_every_configuration_can_be_read():
    names = [path.stem for path in BUNDLED.glob("dragnet-*.yaml")]
    published = {f"dragnet-{data}{mode}" for data in ("published", "uk-biobank") for mode in ("", "-reference")}
    assert {"dragnet-cardiac", "dragnet-no-memory", *published} <= set(names)
    for name in names:
        assert read_configuration(name).name == name
