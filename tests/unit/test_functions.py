"""Whether the arguments of a call fit the function."""

from functools import partial, wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liteq.functions import Parameters


def nothing(): ...
def two(a, b): ...
def default(a, b=1): ...
def positional(a, /, b): ...
def keyword(a, *, b, c=1): ...
def gets_task(a, task): ...
def gets_both(a, task=None, retries=None): ...


FUNCTIONS = (nothing, two, default, positional, keyword)


@given(
    st.sampled_from(FUNCTIONS),
    st.integers(0, 3),
    st.sets(st.sampled_from("abc")),
)
def test_what_python_would_refuse_is_refused(function, number, keywords):
    args, kwargs = (0,) * number, dict.fromkeys(keywords, 0)
    parameters = Parameters(function)
    try:
        function(*args, **kwargs)
    except TypeError:
        with pytest.raises(TypeError, match=function.__name__):
            parameters.check(args, kwargs)
    else:
        parameters.check(args, kwargs)


def test_the_words_are_those_of_python():
    with pytest.raises(TypeError, match=r"two\(\): missing a required argument: 'b'"):
        Parameters(two).check((1,), {})
    with pytest.raises(TypeError, match=r"two\(\): too many positional arguments"):
        Parameters(two).check((1, 2, 3), {})
    with pytest.raises(TypeError, match=r"two\(\): got an unexpected keyword argument 'c'"):
        Parameters(two).check((1, 2), {"c": 3})
    with pytest.raises(TypeError, match=r"two\(\): multiple values for argument 'a'"):
        Parameters(two).check((1, 2), {"a": 3})


def test_what_the_queue_passes_is_there():
    Parameters(gets_task, ["task"]).check((1,), {})
    Parameters(gets_both, ["task", "retries"]).check((), {"a": 1})
    with pytest.raises(TypeError, match="'a'"):
        Parameters(gets_task, ["task"]).check((), {})
    with pytest.raises(TypeError, match="multiple values for argument 'task'"):
        Parameters(gets_task, ["task"]).check((1, 2), {})


def test_a_function_has_a_parameter_for_what_the_queue_passes():
    with pytest.raises(TypeError, match=r"two\(\) must have a parameter 'task'"):
        Parameters(two, ["task"])
    Parameters(lambda **kwargs: None, ["task"])


def test_a_parameter_of_a_reserved_name_is_explained():
    def fetch(url, timeout): ...

    with pytest.raises(TypeError, match=r"missing.*'timeout'; timeout= is the queue's own keyword"):
        Parameters(fetch).check(("url",), {})
    Parameters(fetch).check(("url", 5), {})


def test_a_decorator_s_function_counts_and_not_what_it_wraps():
    @wraps(two)
    def inner(a):
        return two(a, 0)

    Parameters(inner).check((1,), {})
    with pytest.raises(TypeError, match="too many"):
        Parameters(inner).check((1, 2), {})


class Callable:
    def __call__(self, a): ...

    def method(self, a): ...


@pytest.mark.parametrize(
    "function",
    [print, max, dict, Callable, Callable(), Callable().method, partial(two, 1), lambda *args: args, lambda **kw: kw],
)  # fmt: skip
def test_what_cannot_be_known_fits_every_call(function):
    Parameters(function).check((1, 2, 3, 4, 5), {"x": 1})
    Parameters(function).check((), {})
