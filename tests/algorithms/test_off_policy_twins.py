"""DDPG, TD3 and SAC beside plain twins that get the same batches and noise."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drifting import drift
from policy_twin import named, stack

from modelwright.algorithms import ddpg, sac, td3
from modelwright.algorithms.networks.dense import Dense
from modelwright.base.seed import derive_seeds
from modelwright.data.replay import Replay

SEEDS = derive_seeds("values", 2)
LOW, HIGH = torch.tensor([-1.0, -0.5]).double(), torch.tensor([3.0, 1.0]).double()
MIDDLE, SCALE = (HIGH + LOW) / 2, (HIGH - LOW) / 2
CONFIG = {
    "total_steps": 120,
    "copies": 2,
    "capacity": 60,
    "batch_size": 16,
    "learning_starts": 60,
    "hidden": (12, 9),
    "gamma": 0.9,
    "tau": 0.1,
    "report_every": 1,
    "evaluate_every": 1,
}
NEAR, FAR = 3e-6, 1e-4


class Twin:
    """Networks and targets of one seed."""

    critics = 2
    streams = ()

    def __init__(self, seed, config, mistake):
        self.config, self.mistake, self.updates = config, mistake, 0
        outputs = 4 if isinstance(self, SacTwin) else 2
        sizes = (3, *config.hidden, outputs)
        self.actor = stack(
            Dense(name="actor", sizes=sizes, activation="relu").uniform((seed,)), "actor", torch.nn.ReLU
        )
        layers = Dense(name="critic", sizes=(5, *config.hidden, 1), activation="relu")
        self.q = [
            stack(layers.uniform((seed.child(f"critic/{k}"),)), "critic", torch.nn.ReLU)
            for k in range(1, self.critics + 1)
        ]
        self.target_actor, self.target_q = copy.deepcopy(self.actor), copy.deepcopy(self.q)
        self.actor_step = torch.optim.Adam(self.actor.parameters(), lr=config.actor_rate)
        critics = [parameter for each in self.q for parameter in each.parameters()]
        self.critic_step = torch.optim.Adam(critics, lr=config.critic_rate)
        self.noise = {name: seed.generator(name) for name in ("smoothing", "policy")}

    def normal(self, stream, *shape):
        return torch.from_numpy(self.noise[stream].standard_normal(shape, np.float32)).double()

    def values(self, critics, observation, action):
        return [each(torch.cat([observation, action], dim=1))[:, 0] for each in critics]

    def batch(self, sample, place):
        parts = {
            name: torch.from_numpy(getattr(sample, name)[place].astype(np.float64))
            for name in ("observation", "action", "successor")
        }
        over = sample.ended if self.mistake == "truncation taken for termination" else sample.terminated
        if self.mistake == "termination ignored":
            over = np.zeros_like(over)
        goes_on = torch.from_numpy(1.0 - over[place, :, 0])
        return SimpleNamespace(
            **parts, reward=torch.from_numpy(sample.reward[place, :, 0].astype(np.float64)), goes_on=goes_on
        )

    def descend(self, optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def learn_critics(self, b, target):
        q = self.values(self.q, b.observation, b.action)
        if self.mistake == "only the first critic learns":
            q = q[:1]
        loss = sum((each - target).square().mean() for each in q)
        if self.mistake == "loss summed over the batch":
            # Adam forgives a factor, but for its epsilon; half the target's weight it does not.
            loss = sum((each - target).square().sum() for each in q) + (q[0] * target).mean()
        self.descend(self.critic_step, loss)
        return loss.item()

    def follow(self, pairs):
        tau = self.config.tau
        if self.mistake == "target takes the greater part":
            tau = 1.0 - tau
        with torch.no_grad():
            for target, online in pairs:
                for old, new in zip(target.parameters(), online.parameters(), strict=True):
                    old.copy_((1 - tau) * old + tau * new)

    def state(self):
        found = named(self.actor, "actor")
        for k, each in enumerate(self.q, 1):
            found |= {f"{k}.{name}": values for name, values in named(each, "critic").items()}
        return found


def mu(actor, observation):
    return MIDDLE + SCALE * torch.tanh(actor(observation))


class DdpgTwin(Twin):
    critics = 1

    def update(self, b):
        config, wrong = self.config, self.mistake
        actor, critics = self.target_actor, self.target_q
        if wrong == "target from the online networks":
            actor, critics = self.actor, self.q
        with torch.no_grad():
            (next_q,) = self.values(critics, b.successor, mu(actor, b.successor))
            target = b.reward + config.gamma * b.goes_on * next_q
        critic_loss = self.learn_critics(b, target)
        loss = -self.values(self.q, b.observation, mu(self.actor, b.observation))[0].mean()
        if wrong == "actor goes downhill":
            loss = -loss
        if wrong == "action of the replay in the actor's loss":
            loss = -(
                self.values(self.q, b.observation, b.action)[0] * mu(self.actor, b.observation)[:, 0]
            ).mean()
        self.descend(self.actor_step, loss)
        self.follow([*zip(self.target_q, self.q, strict=True), (self.target_actor, self.actor)])
        return {"critic_loss": critic_loss, "actor_loss": loss.item()}


class Td3Twin(Twin):
    def update(self, b):
        config, wrong = self.config, self.mistake
        self.updates += 1
        with torch.no_grad():
            noise = config.smoothing * self.normal("smoothing", config.batch_size, 2)
            if wrong != "smoothing not clipped":
                noise = noise.clamp(-config.smoothing_clip, config.smoothing_clip)
            if wrong == "no smoothing":
                noise = torch.zeros_like(noise)
            if wrong != "smoothing not in halves of the range":
                noise = SCALE * noise
            action = mu(self.target_actor, b.successor) + noise
            if wrong != "smoothed action beyond the range":
                action = torch.minimum(torch.maximum(action, LOW), HIGH)
            one, other = self.values(self.target_q, b.successor, action)
            smaller = (
                torch.maximum(one, other) if wrong == "the greater critic" else torch.minimum(one, other)
            )
            target = b.reward + config.gamma * b.goes_on * smaller
        signs = {"critic_loss": self.learn_critics(b, target)}
        if self.updates % config.policy_every == 0 or wrong == "actor not delayed":
            loss = -self.values(self.q, b.observation, mu(self.actor, b.observation))[0].mean()
            self.descend(self.actor_step, loss)
            signs["actor_loss"] = loss.item()
            self.follow([*zip(self.target_q, self.q, strict=True), (self.target_actor, self.actor)])
        return signs


class SacTwin(Twin):
    def __init__(self, seed, config, mistake):
        super().__init__(seed, config, mistake)
        start = 0.0 if config.temperature is None else np.log(config.temperature)
        self.log_alpha = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
        self.alpha_step = torch.optim.Adam([self.log_alpha], lr=config.critic_rate)

    def state(self):
        return super().state() | {"log_alpha": self.log_alpha.detach().numpy()}

    def draw(self, observation, noise):
        mean, raw = self.actor(observation).chunk(2, dim=1)
        deviation = torch.exp(-5.0 + 3.5 * (torch.tanh(raw) + 1.0))
        normal = torch.distributions.Normal(mean, deviation)
        u = mean + deviation * noise
        log_prob = normal.log_prob(u)
        if self.mistake != "no log-determinant":
            log_prob = log_prob - torch.log(1.0 - torch.tanh(u) ** 2)
        if self.mistake != "range left out of the density":
            log_prob = log_prob - torch.log(SCALE)
        log_prob = (
            log_prob.mean(1)
            if self.mistake == "log-probability averaged over components"
            else log_prob.sum(1)
        )
        return MIDDLE + SCALE * torch.tanh(u), log_prob

    def update(self, b):
        config, wrong = self.config, self.mistake
        noise = self.normal("policy", 2, config.batch_size, 2)
        alpha = self.log_alpha.exp()
        with torch.no_grad():
            action, log_prob = self.draw(b.successor, noise[0])
            critics = self.q if wrong == "target from the online networks" else self.target_q
            one, other = self.values(critics, b.successor, action)
            worth = torch.minimum(one, other) - alpha * log_prob
            if wrong == "no entropy in the target":
                worth = torch.minimum(one, other)
            target = b.reward + config.gamma * b.goes_on * worth
        signs = {"critic_loss": self.learn_critics(b, target)}
        action, log_prob = self.draw(b.observation, noise[1])
        one, other = self.values(self.q, b.observation, action)
        lowest = one if wrong == "the first critic alone for the actor" else torch.minimum(one, other)
        loss = (alpha.detach() * log_prob - lowest).mean()
        if wrong == "alpha not detached":
            self.alpha_step.zero_grad()
            loss = (alpha * log_prob - lowest).mean()
        self.descend(self.actor_step, loss)
        signs["actor_loss"] = loss.item()
        if config.temperature is None:
            wanted = -2.0 if config.target_entropy is None else config.target_entropy
            if wrong == "target entropy with the other sign":
                wanted = -wanted
            error = -(self.log_alpha.exp() * (log_prob.detach() + wanted)).mean()
            if wrong != "alpha not detached":
                self.alpha_step.zero_grad()
            error.backward()
            self.alpha_step.step()
        self.follow(zip(self.target_q, self.q, strict=True))
        return signs


TWINS = {"ddpg": (ddpg, DdpgTwin), "td3": (td3, Td3Twin), "sac": (sac, SacTwin)}
OPTIONS = {
    "ddpg": [{}, {"actor_rate": 1e-4, "gamma": 1.0, "tau": 1.0}, {"updates_each": 3, "train_every": 2}],
    "td3": [
        {},
        {"policy_every": 1, "smoothing": 0.5, "smoothing_clip": 0.1},
        {"policy_every": 3, "smoothing": 0.0},
    ],
    "sac": [{}, {"temperature": 0.2}, {"target_entropy": -0.5, "updates_each": 2}],
}
EVERYBODYS = (
    "truncation taken for termination",
    "termination ignored",
    "loss summed over the batch",
    "target takes the greater part",
)
MISTAKES = {
    "ddpg": (
        *EVERYBODYS,
        "target from the online networks",
        "actor goes downhill",
        "action of the replay in the actor's loss",
    ),
    "td3": (
        *EVERYBODYS,
        "the greater critic",
        "actor not delayed",
        "no smoothing",
        "smoothing not clipped",
        "smoothing not in halves of the range",
        "smoothed action beyond the range",
        "only the first critic learns",
    ),
    "sac": (
        *EVERYBODYS,
        "target from the online networks",
        "no log-determinant",
        "range left out of the density",
        "log-probability averaged over components",
        "no entropy in the target",
        "alpha not detached",
        "the first critic alone for the actor",
        "target entropy with the other sign",
        "only the first critic learns",
    ),
}


def distance(name, config, monkeypatch, mistake=None, seeds=SEEDS):
    """Return the largest difference of any parameter at any update; `numbers` tells of losses too."""
    module, kind = TWINS[name]
    drawn, draw = [], Replay.sample
    monkeypatch.setattr(Replay, "sample", lambda self, batch: drawn.append(draw(self, batch)) or drawn[-1])
    twins = [kind(seed, config, mistake) for seed in seeds]
    largest, numbers, ended, died = 0.0, 0.0, 0, 0
    for step in module.train(drift(discrete=False), seeds, config):
        sample = drawn[-1]
        assert len(drawn) == step.update
        died, ended = died + sample.terminated.sum(), ended + (sample.ended & ~sample.terminated).sum()
        state = step.policy.state()
        for place, twin in enumerate(twins):
            for sign, value in twin.update(twin.batch(sample, place)).items():
                numbers = max(numbers, abs(step.metrics[sign][place] - value) / (1.0 + abs(value)))
            for key, values in twin.state().items():
                largest = max(largest, float(np.abs(state[key][place] - values).max()))
    assert len(drawn) >= 30
    assert died > 10
    assert ended > 10
    return largest, numbers


@pytest.mark.parametrize(
    ("name", "options"), [(name, each) for name in TWINS for each in OPTIONS[name]], ids=str
)
def test_every_update_is_that_of_a_plain_twin(name, options, monkeypatch):
    config = TWINS[name][0].Config(**{**CONFIG, **options})
    parameters, losses = distance(name, config, monkeypatch)
    assert parameters < NEAR
    assert losses < 1e-4


@pytest.mark.parametrize(
    ("name", "mistake"), [(name, mistake) for name in TWINS for mistake in MISTAKES[name]]
)
def test_a_twin_with_a_classic_mistake_parts_from_the_learner(name, mistake, monkeypatch):
    options = {}
    if name == "td3":
        # Noise that reaches beyond the range, or beyond its own bound but not that far.
        wide = mistake == "smoothed action beyond the range"
        options = {"smoothing": 2.0, "smoothing_clip": 2.0} if wide else {"smoothing": 0.4}
    config = TWINS[name][0].Config(**{**CONFIG, **options})
    parameters, _ = distance(name, config, monkeypatch, mistake, SEEDS[:1])
    assert parameters > FAR


@pytest.mark.parametrize("name", TWINS)
def test_actions_are_anywhere_first_and_near_the_policy_afterwards(name, monkeypatch):
    kept, add = [], Replay.add
    monkeypatch.setattr(
        Replay,
        "add",
        lambda self, seen, action, found: (kept.append((seen, action)), add(self, seen, action, found)),
    )
    module = TWINS[name][0]
    options = {} if name == "sac" else {"exploration": 0.05}
    config = module.Config(**{**CONFIG, "total_steps": 1600, "learning_starts": 1200, **options})
    policies = []
    for step in module.train(drift(discrete=False), SEEDS, config):
        policies.append(step.policy.act(kept[-1][0]))
    low, high = LOW.numpy(), HIGH.numpy()
    actions = np.stack([action for _, action in kept])
    assert (actions >= low).all()
    assert (actions <= high).all()
    first = (actions[:600] - low) / (high - low)
    np.testing.assert_allclose(first.mean(axis=(0, 1, 2)), 0.5, atol=0.03)
    np.testing.assert_allclose(first.std(axis=(0, 1, 2)), 12**-0.5, atol=0.02)
    if name != "sac":
        # The policy acts before the update that its step reports: one update is a small difference.
        away = (actions[601:] - np.stack(policies[:-1])[: len(actions) - 601]) / ((high - low) / 2)
        assert 0.0 < np.abs(away).mean() < 0.1


def test_the_first_report_of_td3_has_no_number_of_an_actor_that_has_not_moved():
    steps = list(td3.train(drift(discrete=False), SEEDS, td3.Config(**CONFIG, policy_every=2)))
    assert np.isnan(steps[0].metrics["actor_loss"]).all()
    assert not any(np.isnan(step.metrics["actor_loss"]).any() for step in steps[1:])
    assert len({tuple(step.metrics) for step in steps}) == 1
