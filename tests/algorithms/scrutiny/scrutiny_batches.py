"""Functions that take batches, lists and windows: correct ones, and others with one mistake."""

import numpy as np
import torch
import torch.nn.functional as F


def sizes_from_settings(rewards, values, dones, next_value, next_done, args):
    """Lengths and discounts come from one object of settings."""
    advantages, last = torch.zeros_like(rewards), 0
    for t in reversed(range(args.num_steps)):
        final = t == args.num_steps - 1
        alive = 1.0 - (next_done if final else dones[t + 1])
        following = next_value if final else values[t + 1]
        delta = rewards[t] + args.gamma * following * alive - values[t]
        advantages[t] = last = delta + args.gamma * args.gae_lambda * alive * last
    return advantages, advantages + values


def written_into_the_path(rollout, last_r, gamma=0.9, lambda_=1.0):
    """One path; results are written into what came in."""
    values = np.append(rollout["vf_preds"], last_r)
    delta, total = rollout["rewards"] + gamma * values[1:] - values[:-1], 0.0
    found = np.zeros_like(delta)
    for t in range(len(delta) - 1, -1, -1):
        found[t] = total = delta[t] + gamma * lambda_ * total
    rollout["advantages"] = found
    rollout["value_targets"] = found + rollout["vf_preds"]
    return rollout


def values_and_next_values_in_a_batch(batch, gamma, lam):
    found = np.zeros_like(batch.rewards)
    total = np.zeros_like(batch.rewards[0])
    for t in reversed(range(len(batch.rewards))):
        alive = 1.0 - batch.dones[t]
        delta = batch.rewards[t] + gamma * alive * batch.next_values[t] - batch.values[t]
        found[t] = total = delta + gamma * lam * alive * total
    return found


def finish_path(rews, vals, last_val, gamma, lam):
    """Returns are those of rewards alone."""

    def summed(x, discount):
        found, total = np.zeros(len(x)), 0.0
        for t in range(len(x) - 1, -1, -1):
            found[t] = total = x[t] + discount * total
        return found

    rews, vals = np.append(rews, last_val), np.append(vals, last_val)
    return summed(rews[:-1] + gamma * vals[1:] - vals[:-1], gamma * lam), summed(rews, gamma)[:-1]


def loss_of_clipped_value(values, old_values, returns, clip_range_vf):
    bent = old_values + torch.clamp(values - old_values, -clip_range_vf, clip_range_vf)
    return F.mse_loss(returns, bent)


def lists_of_critics(current_q_values, next_q_values, rewards, dones, next_log_prob, ent_coef, gamma):
    with torch.no_grad():
        following, _ = torch.min(torch.cat(next_q_values, dim=1), dim=1, keepdim=True)
        following = following - ent_coef * next_log_prob.reshape(-1, 1)
        target = rewards + (1 - dones) * gamma * following
    return 0.5 * sum(F.mse_loss(each, target) for each in current_q_values)


def unscaled_log_prob(mu, log_std, u, act_limit):
    log_prob = torch.distributions.Normal(mu, log_std.exp()).log_prob(u).sum(-1)
    return log_prob - (2 * (np.log(2) - u - F.softplus(-2 * u))).sum(-1)


def one_window(rewards, bootstrap_value, done, gamma):
    total = bootstrap_value * (1.0 - done)
    for reward in reversed(rewards):
        total = reward + gamma * total
    return total


def quantiles_with_levels_of_its_own(current_quantiles, target_quantiles, cum_prob=None):
    """Levels that are given lie as its own do, (1, n, 1)."""
    count = current_quantiles.shape[1]
    if cum_prob is None:
        cum_prob = ((torch.arange(count) + 0.5) / count).view(1, -1, 1)
    apart = target_quantiles.unsqueeze(1) - current_quantiles.unsqueeze(2)
    size = apart.abs()
    huber = torch.where(size > 1, size - 0.5, apart**2 * 0.5)
    return ((cum_prob - (apart.detach() < 0).to(apart.dtype)).abs() * huber).sum(1).mean()


RIGHT = (
    ("qr_dqn:quantile_loss", quantiles_with_levels_of_its_own),
    ("ppo:gae", sizes_from_settings),
    ("ppo:gae", written_into_the_path),
    ("ppo:gae", values_and_next_values_in_a_batch),
    ("ppo:gae", finish_path),
    ("ppo:value_loss", loss_of_clipped_value),
    ("sac:critic_loss", lists_of_critics),
    ("sac:log_prob", unscaled_log_prob),
    ("returns:n_step", one_window),
)
"""Subject, function."""


def value_loss_subtracted(log_prob, old_log_prob, advantages, values, returns, clip_range, vf_coef):
    ratio = (log_prob - old_log_prob).exp()
    policy = -torch.min(advantages * ratio, advantages * ratio.clamp(1 - clip_range, 1 + clip_range)).mean()
    return policy - vf_coef * 0.5 * (values - returns).square().mean()


def value_loss_subtracted_of_a_batch(batch, logprobs, values, clip_coef, vf_coef):
    ratio = torch.exp(logprobs - batch.old_logprobs)
    bent = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    policy = torch.max(-batch.advantages * ratio, -batch.advantages * bent).mean()
    return policy - vf_coef * 0.5 * (values - batch.returns).square().mean()


def largest_over_rows(rewards, dones, next_q_values, gamma):
    return rewards + gamma * next_q_values.max(axis=0) * (1 - dones)


def largest_of_all(rewards, dones, next_q_values, gamma):
    return rewards + gamma * np.max(next_q_values) * (1 - dones)


def batch_without_its_dones(data, gamma):
    return data.rewards.flatten() + gamma * data.next_q_values.max(dim=1)[0]


def path_without_its_dones(batch, gamma, lam):
    """(T, N) arrays."""
    found, total = np.zeros_like(batch.rewards), np.zeros_like(batch.rewards[0])
    for t in reversed(range(len(batch.rewards))):
        delta = batch.rewards[t] + gamma * batch.next_values[t] - batch.values[t]
        found[t] = total = delta + gamma * lam * total
    return found


def scale_left_out(mean, log_std, x_t, action_scale):
    squashed = torch.tanh(x_t)
    log_prob = torch.distributions.Normal(mean, log_std.exp()).log_prob(x_t)
    return (log_prob - torch.log(1 - squashed.pow(2) + 1e-6)).sum(1)


def summed_over_rows(mu, log_std, u):
    log_prob = torch.distributions.Normal(mu, log_std.exp()).log_prob(u)
    return (log_prob - torch.log(1 - torch.tanh(u) ** 2 + 1e-6)).sum(0)


def window_bootstrapped_too_early(rewards, done, next_value, gamma):
    steps, total = len(rewards), 0.0
    for k in range(steps):
        total += gamma**k * rewards[k]
    return total + gamma ** (steps - 1) * next_value * (1 - done)


def last_step_without_advantage(rewards, values, dones, next_value, gamma, lam):
    values = np.concatenate([values, next_value[None]])
    found, total = np.zeros_like(rewards), np.zeros_like(rewards[0])
    for t in reversed(range(len(rewards) - 1)):
        delta = rewards[t] + gamma * (1 - dones[t]) * values[t + 1] - values[t]
        found[t] = total = delta + gamma * lam * (1 - dones[t]) * total
    return found


def neighbours_swapped(next_probs, rewards, dones, support, gamma):
    width, count = support[1] - support[0], len(support)
    shifted = rewards[:, None] + gamma * (1 - dones)[:, None] * support[None]
    places = (shifted.clip(support[0], support[-1]) - support[0]) / width
    low = np.floor(places).astype(int).clip(0, count - 1)
    high, found = np.minimum(low + 1, count - 1), np.zeros_like(next_probs)
    for row in range(len(found)):
        np.add.at(found[row], low[row], next_probs[row] * (places - low)[row])
        np.add.at(found[row], high[row], next_probs[row] * (1 - (places - low)[row]))
    return found


WRONG = (
    ("ppo:loss", value_loss_subtracted, "value-loss-sign"),
    ("ppo:loss", value_loss_subtracted_of_a_batch, "value-loss-sign"),
    ("dqn:td_target", largest_over_rows, "wrong-axis"),
    ("dqn:td_target", largest_of_all, "wrong-axis"),
    ("dqn:td_target", batch_without_its_dones, "done-ignored"),
    ("ppo:gae", path_without_its_dones, "done-ignored"),
    ("sac:log_prob", scale_left_out, "scale-not-counted"),
    ("sac:log_prob", summed_over_rows, "wrong-axis"),
    ("returns:n_step", window_bootstrapped_too_early, "bootstrap-discount"),
    ("ppo:gae", last_step_without_advantage, "last-step-missing"),
    ("c51:project", neighbours_swapped, "weights-swapped"),
)
"""Subject, function, name of its mistake."""
