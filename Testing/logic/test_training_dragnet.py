"""Training DragNet: what its objective is made of, and that it goes down."""

from dataclasses import replace

import pytest
import torch

from DeepRegLogic import flow
from DeepRegLogic.training.configuration import BUNDLED, read_configuration


def small(name, **loss):
    configuration = read_configuration(name)
    return replace(
        configuration,
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
    assert {"dragnet-cardiac", "dragnet-no-memory", "dragnet-published", "dragnet-uk-biobank"} <= set(names)
    for name in names:
        assert read_configuration(name).name == name
