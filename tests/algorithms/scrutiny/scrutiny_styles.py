"""Correct functions in the conventions that published projects use; no difference may be reported."""

import numpy as np
import scipy.signal
import torch
import torch.nn.functional as F
from torch.distributions import Normal


def flags_before_the_step(rewards, values, dones, next_value, next_done, gamma=0.99, gae_lambda=0.95):
    """Stretches of vectorised environments; `dones[t]` tells that the step before ended the episode."""
    with torch.no_grad():
        advantages, last = torch.zeros_like(rewards), 0
        for t in reversed(range(rewards.shape[0])):
            last_step = t == rewards.shape[0] - 1
            alive = 1.0 - (next_done if last_step else dones[t + 1])
            following = next_value.reshape(1, -1) if last_step else values[t + 1]
            delta = rewards[t] + gamma * following * alive - values[t]
            advantages[t] = last = delta + gamma * gae_lambda * alive * last
        return advantages, advantages + values


def whole_path(rew_buf, val_buf, last_val, gamma=0.99, lam=0.97):
    """One path after another, cut by the caller; linear filters."""

    def discount_cumsum(x, discount):
        return scipy.signal.lfilter([1], [1, float(-discount)], x[::-1], axis=0)[::-1]

    rews, vals = np.append(rew_buf, last_val), np.append(val_buf, last_val)
    deltas = rews[:-1] + gamma * vals[1:] - vals[:-1]
    return discount_cumsum(deltas, gamma * lam)


def path_returns(rews, last_val, gamma):
    rews = np.append(rews, last_val)
    return scipy.signal.lfilter([1], [1, float(-gamma)], rews[::-1], axis=0)[::-1][:-1]


def starts_of_episodes(rewards, values, episode_starts, last_values, dones, gamma, gae_lambda):
    """Whether an episode starts with each step, and whether the last step ended one."""
    advantages, last = np.zeros_like(rewards), 0
    for step in reversed(range(len(rewards))):
        if step == len(rewards) - 1:
            alive, following = 1.0 - dones.astype(np.float32), last_values
        else:
            alive, following = 1.0 - episode_starts[step + 1], values[step + 1]
        delta = rewards[step] + gamma * following * alive - values[step]
        last = delta + gamma * gae_lambda * alive * last
        advantages[step] = last
    return advantages, advantages + values


def premasked_next_values(v_s, v_s_, rew, end_flag, gamma, gae_lambda):
    """One row of steps; values of the next states come masked."""
    returns = np.zeros(rew.shape)
    delta = rew + v_s_ * gamma - v_s
    discount = (1.0 - end_flag) * (gamma * gae_lambda)
    gae = 0.0
    for i in range(len(rew) - 1, -1, -1):
        gae = delta[i] + discount[i] * gae
        returns[i] = gae
    return returns


def batch_first(gamma, lmbda, state_value, next_state_value, reward, done, terminated):
    """Tensors (batch, time, 1); done ends the sum, terminated the bootstrap."""
    not_done, alive = (~done).to(state_value.dtype), (~terminated).to(state_value.dtype)
    delta = reward + gamma * alive * next_state_value - state_value
    advantage, previous = torch.empty_like(delta), 0
    for t in reversed(range(delta.shape[-2])):
        previous = delta[..., t, :] + gamma * lmbda * not_done[..., t, :] * previous
        advantage[..., t, :] = previous
    return advantage, advantage + state_value


def lists(next_value, rewards, masks, values, gamma=0.99, tau=0.95):
    """Lists of rows, a mask of 1 - done, returns instead of advantages."""
    values = values + [next_value]  # noqa: RUF005 - as it is written there, for lists only
    gae, returns = 0, []
    for step in reversed(range(len(rewards))):
        delta = rewards[step] + gamma * values[step + 1] * masks[step] - values[step]
        gae = delta + gamma * tau * masks[step] * gae
        returns.insert(0, gae + values[step])
    return returns


def masks_with_a_further_row(rewards, value_preds, masks, gamma, gae_lambda):
    """Rollout storage with T + 1 rows of values and masks."""
    gae, returns = 0, torch.zeros_like(rewards)
    for step in reversed(range(rewards.size(0))):
        delta = rewards[step] + gamma * value_preds[step + 1] * masks[step + 1] - value_preds[step]
        gae = delta + gamma * gae_lambda * masks[step + 1] * gae
        returns[step] = gae + value_preds[step]
    return returns


def discount_of_each_step(r_t, discount_t, lambda_, values):
    """A discount for each step, 0 at ends; values with a further row."""
    delta = r_t + discount_t * values[1:] - values[:-1]
    out, run = np.zeros_like(delta), 0.0
    for t in range(len(r_t))[::-1]:
        run = delta[t] + discount_t[t] * lambda_ * run
        out[t] = run
    return out


class Minibatch:
    """Reads everything from a configuration and a batch."""

    @staticmethod
    def loss(batch, cfg):
        ratio = (batch["log_probs"] - batch["old_log_probs"]).exp()
        clipped = ratio.clamp(1 - cfg.clip_eps, 1 + cfg.clip_eps)
        return -torch.min(ratio * batch["advantages"], clipped * batch["advantages"]).mean()


def loss_with_everything(
    newlogprob, b_logprobs, b_advantages, newvalue, b_values, b_returns, entropy,
    clip_coef, vf_coef, ent_coef, norm_adv=True, clip_vloss=True,
):  # fmt: skip
    ratio = (newlogprob - b_logprobs).exp()
    if norm_adv:
        b_advantages = (b_advantages - b_advantages.mean()) / (b_advantages.std() + 1e-8)
    policy = torch.max(
        -b_advantages * ratio, -b_advantages * ratio.clamp(1 - clip_coef, 1 + clip_coef)
    ).mean()
    squared = (newvalue - b_returns) ** 2
    if clip_vloss:
        clipped = b_values + torch.clamp(newvalue - b_values, -clip_coef, clip_coef)
        squared = torch.max(squared, (clipped - b_returns) ** 2)
    return policy - ent_coef * entropy.mean() + vf_coef * 0.5 * squared.mean()


def stable_log_prob(mu, log_std, pi_action):
    logp = Normal(mu, log_std.exp()).log_prob(pi_action).sum(axis=-1)
    return logp - (2 * (np.log(2) - pi_action - F.softplus(-2 * pi_action))).sum(axis=1)


def scaled_log_prob(mean, log_std, x_t, action_scale):
    y_t = torch.tanh(x_t)
    log_prob = Normal(mean, log_std.exp()).log_prob(x_t)
    return (log_prob - torch.log(action_scale * (1 - y_t.pow(2)) + 1e-6)).sum(1, keepdim=True)


def inverse_log_prob(mean_actions, log_std, actions):
    eps = torch.finfo(actions.dtype).eps
    u = torch.atanh(actions.clamp(-1.0 + eps, 1.0 - eps))
    log_prob = Normal(mean_actions, log_std.exp()).log_prob(u).sum(dim=1)
    return log_prob - torch.sum(torch.log(1 - actions**2 + 1e-6), dim=1)


def columns_of_critics(
    current_q1, current_q2, rewards, dones, next_q1, next_q2, next_log_prob, ent_coef, gamma
):
    with torch.no_grad():
        smallest, _ = torch.min(torch.cat((next_q1, next_q2), dim=1), dim=1, keepdim=True)
        target = rewards + (1 - dones) * gamma * (smallest - ent_coef * next_log_prob.reshape(-1, 1))
    return 0.5 * sum(F.mse_loss(q, target) for q in (current_q1, current_q2))


def log_form_of_temperature(log_ent_coef, log_prob, target_entropy):
    return -(log_ent_coef * (log_prob + target_entropy).detach()).mean()


def atoms(next_pmfs, rewards, dones, target_atoms, gamma, v_min, v_max, n_atoms):
    moved = (rewards[:, None] + gamma * target_atoms * (1 - dones[:, None])).clamp(v_min, v_max)
    b = (moved - v_min) / (target_atoms[1] - target_atoms[0])
    low, high = b.floor().clamp(0, n_atoms - 1), b.ceil().clamp(0, n_atoms - 1)
    target = torch.zeros_like(next_pmfs)
    for i in range(target.size(0)):
        target[i].index_add_(0, low[i].long(), ((high + (low == high).to(b.dtype) - b) * next_pmfs)[i])
        target[i].index_add_(0, high[i].long(), ((b - low) * next_pmfs)[i])
    return target


def quantiles_without_kappa(current_quantiles, target_quantiles):
    n = current_quantiles.shape[-1]
    levels = ((torch.arange(n) + 0.5) / n).view(1, -1, 1)
    u = target_quantiles.unsqueeze(-2) - current_quantiles.unsqueeze(-1)
    huber = torch.where(u.abs() > 1, u.abs() - 0.5, u**2 * 0.5)
    return (torch.abs(levels - (u.detach() < 0).float()) * huber).sum(dim=-2).mean()


def loss_and_gradient(x, y):
    exp = np.exp(x - x.max(axis=1, keepdims=True))
    probs = exp / exp.sum(axis=1, keepdims=True)
    loss = -np.log(probs[np.arange(len(x)), y]).mean()
    dx = probs.copy()
    dx[np.arange(len(x)), y] -= 1
    return loss, dx / len(x)


def rows_as_columns(X, Y, W1, b1, W2, b2):
    m = X.shape[1]
    A1 = np.tanh(W1 @ X + b1)
    Z2 = W2 @ A1 + b2
    A2 = np.exp(Z2 - Z2.max(0)) / np.exp(Z2 - Z2.max(0)).sum(0)
    dZ2 = A2 - Y
    dZ1 = W2.T @ dZ2 * (1 - A1**2)
    return {
        "dW1": dZ1 @ X.T / m,
        "db1": dZ1.sum(1, keepdims=True) / m,
        "dW2": dZ2 @ A1.T / m,
        "db2": dZ2.sum(1, keepdims=True) / m,
    }


def tree_of_a_library(X, y, F, lr):
    from sklearn.tree import DecisionTreeRegressor

    return F + lr * DecisionTreeRegressor(max_depth=2, random_state=0).fit(X, y - F).predict(X)


def keeps_empty_clusters(X, centroids):
    labels = np.linalg.norm(X[:, None] - centroids, axis=2).argmin(1)
    moved = [X[labels == k].mean(0) if (labels == k).any() else centroids[k] for k in range(len(centroids))]
    return np.array(moved), labels


def table_in_place(Q, s, a, r, s_next, done, alpha, gamma):
    Q[s, a] += alpha * (r + gamma * (0.0 if done else Q[s_next].max()) - Q[s, a])


def windows_until_the_end(rewards, dones, gamma):
    total, over = 0.0, False
    for i, (reward, done) in enumerate(zip(rewards, dones, strict=True)):
        total += gamma**i * reward
        if done:
            over = True
            break
    return total, over


STYLES = (
    ("ppo:gae", flags_before_the_step),
    ("ppo:gae", whole_path),
    ("ppo:gae", starts_of_episodes),
    ("ppo:gae", premasked_next_values),
    ("ppo:gae", batch_first),
    ("ppo:gae", lists),
    ("ppo:gae", masks_with_a_further_row),
    ("ppo:gae", discount_of_each_step),
    ("returns:discounted", path_returns),
    ("returns:n_step", windows_until_the_end),
    ("ppo:loss", Minibatch.loss),
    ("ppo:loss", loss_with_everything),
    ("sac:log_prob", stable_log_prob),
    ("sac:log_prob", scaled_log_prob),
    ("sac:log_prob", inverse_log_prob),
    ("sac:critic_loss", columns_of_critics),
    ("sac:temperature_loss", log_form_of_temperature),
    ("c51:project", atoms),
    ("qr_dqn:quantile_loss", quantiles_without_kappa),
    ("layers:cross_entropy", loss_and_gradient),
    ("layers:cross_entropy", F.cross_entropy),
    ("mlp:backpropagation", rows_as_columns),
    ("gradient_boosting:step", tree_of_a_library),
    ("k_means:step", keeps_empty_clusters),
    ("q_learning:update", table_in_place),
)
"""Subject, function."""
