"""Plain PyTorch twins of REINFORCE, A2C and PPO: one seed, one row at a time, from the papers' equations.

`mistake` plants one of the classic errors in the twin; then learner and twin must part.
"""

from types import SimpleNamespace

import numpy as np
import torch

from modelwright.algorithms.networks.dense import Dense

__all__ = ["Actor", "ReinforceTwin", "A2CTwin", "PPOTwin", "distance", "stack"]


def stack(start, name, activation):
    """Return `torch.nn` layers in float64 with one seed's parameters."""
    layers = []
    for place in range(1, sum(key.startswith(f"{name}.weight") for key in start) + 1):
        weight, bias = start[f"{name}.weight_{place}"][0], start[f"{name}.bias_{place}"][0, 0]
        layer = torch.nn.Linear(*weight.shape).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, activation()]
    return torch.nn.Sequential(*layers[:-1])


def named(network, name):
    """Return the parameters of `stack` under the learner's names."""
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    found = {
        f"{name}.weight_{place}": layer.weight.detach().numpy().T for place, layer in enumerate(linear, 1)
    }
    found |= {
        f"{name}.bias_{place}": layer.bias.detach().numpy()[None] for place, layer in enumerate(linear, 1)
    }
    return found


class Actor:
    """pi, V and the experience of one seed."""

    def __init__(self, environment, seed, config, mistake=None):
        self.config, self.mistake = config, mistake
        self.simulation = environment.simulate((seed,), config.copies)
        self.discrete = self.simulation.action_space.shape == ()
        space = self.simulation.action_space
        outputs = space.n if self.discrete else space.shape[0]
        seen = self.simulation.observation_space.shape[0]
        sizes = (seen, config.width, config.width)
        actor = Dense(name="actor", sizes=(*sizes, outputs), activation="tanh").orthogonal((seed,), last=0.01)
        critic = Dense(name="critic", sizes=(*sizes, 1), activation="tanh").orthogonal((seed,), last=1.0)
        self.pi, self.v = stack(actor, "actor", torch.nn.Tanh), stack(critic, "critic", torch.nn.Tanh)
        self.log_deviation = torch.nn.Parameter(torch.zeros(outputs, dtype=torch.float64))
        self.noise, self.orders = seed.generator("action"), seed.generator("minibatch")
        self.parameters = [*self.pi.parameters(), *self.v.parameters()]
        if not self.discrete:
            self.parameters.append(self.log_deviation)

    def state(self):
        found = named(self.pi, "actor") | named(self.v, "critic")
        if not self.discrete:
            found["actor.log_deviation"] = self.log_deviation.detach().numpy()[None]
        return found

    def distribution(self, observation):
        outputs = self.pi(observation)
        if self.discrete:
            return torch.distributions.Categorical(logits=outputs)
        normal = torch.distributions.Normal(outputs, self.log_deviation.exp())
        if self.mistake == "log-probability averaged over components":
            return SimpleNamespace(
                log_prob=lambda action: normal.log_prob(action).mean(-1),
                entropy=lambda: normal.entropy().sum(-1),
                mean=outputs,
            )
        return torch.distributions.Independent(normal, 1)

    def choose(self, observation):
        with torch.no_grad():
            policy = self.distribution(torch.from_numpy(observation).double())
            if not self.discrete:
                drawn = self.noise.standard_normal(policy.mean.shape, np.float32)
                return (policy.mean + self.log_deviation.exp() * torch.from_numpy(drawn)).numpy()
            chosen = []
            for row, number in zip(
                policy.probs.numpy(), self.noise.random(len(policy.probs), np.float32), strict=True
            ):
                action, below = 0, row[0]
                while below <= number:
                    action += 1
                    below += row[action]
                chosen.append(action)
            return np.array(chosen)

    def gather(self):
        """Return steps as arrays (step, copy, ...); `after` is what the next step acts on."""
        simulation, steps = self.simulation, []
        for _ in range(self.config.rollout):
            seen = simulation.observation[0]
            action = self.choose(seen)
            space = simulation.action_space
            done = action if self.discrete else np.clip(action, space.low, space.high).astype(np.float32)
            found = simulation.step(done[None])
            parts = (found.reward, found.successor, found.terminated, found.truncated, found.observation)
            steps.append((seen, action, *(part[0] for part in parts)))
        names = ("observation", "action", "reward", "successor", "terminated", "truncated", "after")
        made = {name: np.stack(part) for name, part in zip(names, zip(*steps, strict=True), strict=True)}
        made["ended"] = made["terminated"] | made["truncated"]
        if self.mistake == "truncation taken for termination":
            made["terminated"] = made["ended"]
        if self.mistake == "termination ignored":
            made["terminated"] = np.zeros_like(made["terminated"])
        if self.mistake == "start of the next episode for the end of this one":
            made["successor"] = made["after"]
        with torch.no_grad():
            for name, of in (("value", "observation"), ("next_value", "successor")):
                made[name] = self.v(torch.from_numpy(made[of]).double())[..., 0].numpy()
        return SimpleNamespace(**made)

    def step(self, optimizer, loss):
        optimizer.zero_grad()
        loss.backward()
        if self.config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        optimizer.step()

    def advantages(self, seen):
        """Return sums of discounted errors, copy by copy, each sum from its first term to its last."""
        gamma, lam = self.config.gamma, self.config.lam
        if self.mistake == "gamma and lambda swapped":
            gamma, lam = lam, gamma
        found = np.zeros_like(seen.reward)
        for copy in range(self.config.copies):
            for start in range(self.config.rollout):
                factor = 1.0
                for step in range(start, self.config.rollout):
                    at = (step, copy)
                    follows = 0.0 if seen.terminated[at] else seen.next_value[at]
                    found[start, copy] += factor * (seen.reward[at] + gamma * follows - seen.value[at])
                    factor *= gamma * lam
                    if seen.ended[at] and self.mistake != "advantages run over the end of an episode":
                        break
        return found


class _OneStep(Actor):
    """One update a rollout, by equation (1) of the page."""

    def targets(self, seen):
        raise NotImplementedError

    def updates(self):
        config = self.config
        rule = {
            "adam": lambda: torch.optim.Adam(self.parameters, eps=1e-5),
            "rmsprop": lambda: torch.optim.RMSprop(self.parameters, alpha=0.99, eps=1e-5),
        }
        optimizer = rule[config.optimizer]()
        count = config.total_steps // (config.copies * config.rollout)
        for update in range(count):
            rate = config.learning_rate * ((count - update) / count if config.anneal else 1.0)
            optimizer.param_groups[0]["lr"] = rate
            seen = self.gather()
            target = torch.from_numpy(self.targets(seen)).flatten()
            observation = torch.from_numpy(seen.observation).double().flatten(0, 1)
            policy, value = self.distribution(observation), self.v(observation)[:, 0]
            advantage = target - torch.from_numpy(seen.value).flatten()
            if self.mistake == "gradient of the value through the advantage":
                advantage = target - value
            if self.mistake == "no baseline":
                advantage = target
            if config.normalize_advantage:
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            action = torch.from_numpy(seen.action).flatten(0, 1)
            sign = -1.0 if self.mistake == "entropy punished" else 1.0
            loss = (
                -(advantage * policy.log_prob(action)).mean()
                + config.value_coefficient * 0.5 * (value - target).square().mean()
                - sign * config.entropy_coefficient * policy.entropy().mean()
            )
            if self.mistake == "descent on the return":
                loss = loss + 2.0 * (advantage * policy.log_prob(action)).mean()
            self.step(optimizer, loss)
            yield self.state()


class ReinforceTwin(_OneStep):
    def targets(self, seen):
        found = np.zeros_like(seen.reward)
        for copy in range(self.config.copies):
            for start in range(self.config.rollout):
                factor = 1.0
                for step in range(start, self.config.rollout):
                    at = (step, copy)
                    found[start, copy] += factor * seen.reward[at]
                    factor *= self.config.gamma
                    if seen.ended[at] or step == self.config.rollout - 1:
                        found[start, copy] += 0.0 if seen.terminated[at] else factor * seen.next_value[at]
                        break
        return found


class A2CTwin(_OneStep):
    def targets(self, seen):
        return self.advantages(seen) + seen.value


class PPOTwin(Actor):
    def updates(self):
        config = self.config
        optimizer = torch.optim.Adam(self.parameters, eps=1e-5)
        count = config.total_steps // (config.copies * config.rollout)
        for update in range(count):
            left = (count - update) / count
            optimizer.param_groups[0]["lr"] = config.learning_rate * (left if config.anneal else 1.0)
            seen = self.gather()
            advantage = torch.from_numpy(self.advantages(seen)).flatten()
            old_value = torch.from_numpy(seen.value).flatten()
            target = advantage + old_value
            if self.mistake == "advantages standardised in the rollout":
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            observation = torch.from_numpy(seen.observation).double().flatten(0, 1)
            action = torch.from_numpy(seen.action).flatten(0, 1)
            with torch.no_grad():
                old = self.distribution(observation).log_prob(action)
            size = len(action) // config.minibatches
            for _ in range(config.epochs):
                order = self.orders.permutation(len(action))
                if self.mistake == "old policy renewed every epoch":
                    with torch.no_grad():
                        old = self.distribution(observation).log_prob(action)
                for part in range(config.minibatches):
                    rows = order[part * size : (part + 1) * size]
                    loss = self.loss(
                        *(each[rows] for each in (observation, action, old, old_value, advantage, target))
                    )
                    self.step(optimizer, loss)
            yield self.state()

    def loss(self, observation, action, old, old_value, advantage, target):
        config = self.config
        policy, value = self.distribution(observation), self.v(observation)[:, 0]
        ratio = (policy.log_prob(action) - old).exp()
        if config.normalize_advantage and self.mistake != "advantages standardised in the rollout":
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        clipped = ratio.clamp(1 - config.clip, 1 + config.clip)
        objective = torch.minimum(ratio * advantage, clipped * advantage)
        if self.mistake == "no clip":
            objective = ratio * advantage
        if self.mistake == "clipped alone, without the minimum":
            objective = clipped * advantage
        error = (value - target).square()
        if config.clip_value and self.mistake != "value not clipped":
            near = old_value + (value - old_value).clamp(-config.clip, config.clip)
            error = torch.maximum(error, (near - target).square())
        sign = -1.0 if self.mistake == "entropy punished" else 1.0
        return (
            -objective.mean()
            + config.value_coefficient * 0.5 * error.mean()
            - sign * config.entropy_coefficient * policy.entropy().mean()
        )


def distance(module, environment, seeds, config, twin, mistake=None):
    """Return the largest difference of any parameter at any update; each seed has a twin of its own."""
    largest, count = 0.0, 0
    twins = [twin(environment, seed, config, mistake).updates() for seed in seeds]
    for step in module.train(environment, seeds, config):
        state = step.policy.state()
        for place, each in enumerate(twins):
            for name, values in next(each).items():
                largest = max(largest, float(np.abs(state[name][place] - values).max()))
        count += 1
    assert count == config.total_steps // (config.copies * config.rollout)
    return largest
