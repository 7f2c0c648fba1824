"""Returns and advantages beside sums written out, and cases worked by hand."""

import numpy as np
import pytest

from modelwright.algorithms.control.returns import discounted_returns, generalised_advantages, n_step_returns

RNG = np.random.default_rng(0)


def stretch(seeds=3, steps=17, copies=4, ends=0.25):
    """Return reward, value, next_value, terminated, ended with ends of either kind, and of both at once."""
    shape = (seeds, steps, copies)
    terminated, truncated = RNG.random(shape) < ends, RNG.random(shape) < ends
    return (*RNG.normal(size=(3, *shape)), terminated, terminated | truncated)


def naive_return(reward, terminated, ended, next_value, gamma, start):
    total, factor = 0.0, 1.0
    for step in range(start, len(reward)):
        total += factor * reward[step]
        factor *= gamma
        if ended[step] or step == len(reward) - 1:
            return total + (0.0 if terminated[step] else factor * next_value[step])
    raise AssertionError


def naive_advantage(reward, value, next_value, terminated, ended, gamma, lam, start):
    total, factor = 0.0, 1.0
    for step in range(start, len(reward)):
        follows = 0.0 if terminated[step] else next_value[step]
        total += factor * (reward[step] + gamma * follows - value[step])
        factor *= gamma * lam
        if ended[step]:
            break
    return total


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(3, 17, 4), (1, 1, 1), (2, 1, 3), (1, 9, 1)])
def test_they_are_the_sums_of_their_definitions(shape, gamma):
    reward, value, next_value, terminated, ended = stretch(*shape)
    returns = discounted_returns(reward, terminated, ended, next_value, gamma)
    for lam in (0.0, 0.7, 1.0):
        advantages = generalised_advantages(reward, value, next_value, terminated, ended, gamma, lam)
        assert advantages.dtype == returns.dtype == np.float64
        for seed, start, copy in np.ndindex(shape):
            r, v, n, t, e = (each[seed, :, copy] for each in (reward, value, next_value, terminated, ended))
            wanted = naive_advantage(r, v, n, t, e, gamma, lam, start)
            np.testing.assert_allclose(advantages[seed, start, copy], wanted, atol=1e-12)
            np.testing.assert_allclose(
                returns[seed, start, copy], naive_return(r, t, e, n, gamma, start), atol=1e-12
            )


def test_a_stretch_worked_by_hand():
    # Steps: goes on; terminates; is cut off; both at once; goes on to the end of the stretch.
    reward = np.array([1.0, 2.0, 4.0, 8.0, 16.0])[None, :, None]
    value = np.array([10.0, 20.0, 30.0, 40.0, 50.0])[None, :, None]
    following = np.array([20.0, 99.0, 100.0, 99.0, 200.0])[None, :, None]
    terminated = np.array([False, True, False, True, False])[None, :, None]
    ended = np.array([False, True, True, True, False])[None, :, None]
    returns = discounted_returns(reward, terminated, ended, following, 0.5)[0, :, 0]
    assert returns.tolist() == [1 + 0.5 * 2, 2, 4 + 0.5 * 100, 8, 16 + 0.5 * 200]
    delta = [1 + 10 - 10, 2 - 20, 4 + 50 - 30, 8 - 40, 16 + 100 - 50]
    advantages = generalised_advantages(reward, value, following, terminated, ended, 0.5, 0.5)[0, :, 0]
    assert advantages.tolist() == [delta[0] + 0.25 * delta[1], *delta[1:]]


@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_with_lambda_one_they_are_returns_less_values_and_with_zero_one_step_errors(gamma):
    reward, value, next_value, terminated, ended = stretch()
    part = (reward, value, next_value, terminated, ended, gamma)
    returns = discounted_returns(reward, terminated, ended, next_value, gamma)
    # The next value of a step that goes on is the value of the step after it.
    goes_on = ~ended[:, :-1]
    next_value[:, :-1][goes_on] = value[:, 1:][goes_on]
    returns = discounted_returns(reward, terminated, ended, next_value, gamma)
    np.testing.assert_allclose(generalised_advantages(*part, 1.0) + value, returns, atol=1e-12)
    errors = reward + gamma * np.where(terminated, 0.0, next_value) - value
    np.testing.assert_allclose(generalised_advantages(*part, 0.0), errors)
    if gamma == 0.0:
        np.testing.assert_array_equal(returns, reward)


def test_what_follows_termination_does_not_matter_and_what_follows_truncation_does():
    reward, value, next_value, terminated, ended = stretch()
    other = next_value.copy()
    other[terminated] = np.nan
    for lam in (0.0, 0.95):
        one, two = (
            generalised_advantages(reward, value, each, terminated, ended, 0.9, lam)
            for each in (next_value, other)
        )
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(
        discounted_returns(reward, terminated, ended, next_value, 0.9),
        discounted_returns(reward, terminated, ended, other, 0.9),
    )
    cut = ended & ~terminated
    moved = generalised_advantages(reward, value, next_value + cut, terminated, ended, 0.9, 0.0)
    still = generalised_advantages(reward, value, next_value, terminated, ended, 0.9, 0.0)
    np.testing.assert_allclose(moved - still, 0.9 * cut, atol=1e-12)


def test_an_episode_says_nothing_about_the_one_before_it():
    reward, value, next_value, terminated, ended = stretch()
    ended[:, 8] = True
    changed = reward.copy()
    changed[:, 9:] += 100.0
    for found in (
        lambda r: generalised_advantages(r, value, next_value, terminated, ended, 0.9, 0.95),
        lambda r: discounted_returns(r, terminated, ended, next_value, 0.9),
    ):
        np.testing.assert_array_equal(found(reward)[:, :9], found(changed)[:, :9])
        assert (found(reward)[:, 9:] != found(changed)[:, 9:]).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_n_steps_are_added_up_to_the_end_of_the_episode(n):
    reward = RNG.normal(size=(200, n))
    terminated, truncated = RNG.random((200, n)) < 0.2, RNG.random((200, n)) < 0.2
    total, steps, over = n_step_returns(reward, terminated, terminated | truncated, 0.9)
    for row in range(200):
        wanted, count, dead = 0.0, 0, False
        for step in range(n):
            wanted += 0.9**step * reward[row, step]
            count, dead = step + 1, bool(terminated[row, step])
            if terminated[row, step] or truncated[row, step]:
                break
        np.testing.assert_allclose(total[row], wanted, atol=1e-12)
        assert (steps[row], over[row]) == (count, dead)
