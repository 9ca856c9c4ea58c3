"""Crontab expressions, against a reference that walks round each field one number at a time."""

import copy
import pickle
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liteq.schedules import Crontab, crontab

MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
FULL_NAMES = [
    "january", "february", "march", "april", "june", "july", "august", "september", "october", "november", "december",
    "sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
]  # fmt: skip

# keyword: first, last, names, attribute of Crontab, strftime code
FIELDS = {
    "minute": (0, 59, {}, "minutes", "%M"),
    "hour": (0, 23, {}, "hours", "%H"),
    "day": (1, 31, {}, "days", "%d"),
    "month": (1, 12, MONTHS, "months", "%m"),
    "day_of_week": (0, 6, WEEKDAYS, "weekdays", "%w"),
}
JUNK = (
    "", "x", "5/2", "-1", "1-", "-", "1-2-3", "*/", "*/x", "*5", "1.5", "1 - 2", "+1", "1_0", "\u00b2", "1-3/x", "**",
)  # fmt: skip


def walk(first, last, low, high, step):
    """Every `step`-th number on the way from `low` up to `high`, starting over after `last`."""
    taken, number, steps = {low}, low, 0
    while number != high:
        number = first if number == last else number + 1
        steps += 1
        if steps % step == 0:
            taken.add(number)
    return taken


def reference(keyword, text):
    """The numbers of a field's text, in the plainest way; the text is known to be free of errors."""
    first, last, names, *_ = FIELDS[keyword]
    selected = set()
    for piece in map(str.strip, text.split(",")):
        if piece in JUNK:
            continue
        span, _, step = piece.partition("/")
        step = int(step or 1)
        if span == "*":
            selected |= {number for number in range(first, last + 1) if (number - first) % step == 0}
            continue
        low, dash, high = span.partition("-")
        low, high = (
            names[word.lower()[:3]] if word.isalpha() else int(word) for word in (low, high if dash else low)
        )
        if keyword == "day_of_week":
            if (low, high) == (0, 7):  # the whole week, where 0-0 would be one Sunday
                high = 6
            low, high = low % 7, high % 7
        selected |= walk(first, last, low, high, step)
    return selected


at = datetime.fromisoformat


def numbers(keyword, value, **options):
    return getattr(crontab(**{keyword: value}, **options), FIELDS[keyword][3])


def words(keyword):
    first, last, names, *_ = FIELDS[keyword]
    digits = st.integers(first, 7 if keyword == "day_of_week" else last).map(str)
    digits |= digits.map(lambda text: text.zfill(2))
    if not names:
        return digits
    spelled = [*names, *(name for name in FULL_NAMES if name[:3] in names)]
    return digits | st.sampled_from([form for name in spelled for form in (name, name.upper(), name.title())])


def pieces(keyword):
    word, step = words(keyword), st.integers(1, 70)
    kinds = [
        st.just("*"),
        word,
        st.builds("{}-{}".format, word, word),
        st.builds("{}-{}/{}".format, word, word, step),
    ]
    if keyword != "day_of_week":
        kinds.append(st.builds("*/{}".format, step))
    padding = st.sampled_from(["", " ", "  ", "\t"])
    return st.builds("{}{}{}".format, padding, st.one_of(kinds), padding)


def texts(keyword):
    return st.lists(pieces(keyword), min_size=1, max_size=4).map(",".join)


def expressions():
    return st.fixed_dictionaries({}, optional={keyword: texts(keyword) for keyword in FIELDS})


# -- against the reference


@pytest.mark.parametrize("keyword", FIELDS)
@settings(deadline=None, database=None)
@given(data=st.data(), strict=st.booleans())
def test_field_selects_what_the_reference_selects(keyword, data, strict):
    text = data.draw(texts(keyword))
    assert numbers(keyword, text, strict=strict) == reference(keyword, text)


@settings(deadline=None, database=None, max_examples=300)
@given(fields=expressions(), moment=st.datetimes())
@example(fields={"day": "13", "day_of_week": "fri"}, moment=at("2024-09-13"))
@example(fields={"day": "13", "day_of_week": "fri"}, moment=at("2024-09-20"))
@example(fields={"day": "29", "month": "feb"}, moment=at("2024-02-29 23:59:59.999999"))
def test_datetime_matches_when_the_reference_matches(fields, moment):
    expected = all(
        int(moment.strftime(FIELDS[key][4])) in reference(key, text) for key, text in fields.items()
    )
    assert crontab(**fields)(moment) is expected


@settings(deadline=None, database=None, max_examples=200)
@given(fields=expressions(), start=st.datetimes(at("1990-01-01"), at("2090-01-01")))
def test_consecutive_days_match_as_in_the_reference(fields, start):
    # A random minute rarely matches all five fields: give the fields of the time one that does.
    fields = fields | {"minute": f"{start.minute},7", "hour": start.hour}
    predicate = crontab(**fields)
    for days in range(40):
        moment = start + timedelta(days=days)
        expected = all(
            int(moment.strftime(FIELDS[key][4])) in reference(key, fields.get(key, "*"))
            for key in ("day", "month", "day_of_week")
        )
        assert predicate(moment) is expected


@pytest.mark.parametrize("keyword", FIELDS)
def test_every_range_and_step(keyword):
    first, last, *_ = FIELDS[keyword]
    last = 7 if keyword == "day_of_week" else last
    steps = range(1, 9) if last < 13 else (1, 2, 7, last, last + 1)
    for low in range(first, last + 1):
        assert numbers(keyword, low) == reference(keyword, f"{low}")
        for high in range(first, last + 1):
            assert numbers(keyword, f"{low}-{high}") == reference(keyword, f"{low}-{high}")
            for step in steps:
                assert numbers(keyword, f"{low}-{high}/{step}") == reference(keyword, f"{low}-{high}/{step}")


@pytest.mark.parametrize("keyword", FIELDS)
@settings(deadline=None, database=None)
@given(data=st.data())
def test_unreadable_pieces_are_ignored_unless_strict(keyword, data):
    good = data.draw(st.lists(pieces(keyword), min_size=1, max_size=3))
    junk = data.draw(st.lists(st.sampled_from(JUNK), min_size=1, max_size=3))
    text = ",".join(data.draw(st.permutations(good + junk)))
    assert numbers(keyword, text) == reference(keyword, ",".join(good))
    with pytest.raises(ValueError, match=f"^{keyword}: cannot read "):
        numbers(keyword, text, strict=True)


@settings(deadline=None, database=None)
@given(fields=expressions())
def test_repr_is_an_expression_for_an_equal_predicate(fields):
    predicate = crontab(**fields)
    again = eval(repr(predicate), {"crontab": crontab})
    assert again == predicate
    assert hash(again) == hash(predicate)


@settings(deadline=None, database=None)
@given(text=st.text("0123456789*/-, janFRI", max_size=12), strict=st.booleans())
def test_any_text_gives_numbers_in_range_or_a_value_error(text, strict):
    for keyword, (first, last, *_) in FIELDS.items():
        try:
            selected = numbers(keyword, text, strict=strict)
        except ValueError:
            with pytest.raises(ValueError, match=f"^{keyword}: "):
                numbers(keyword, text, strict=strict)
        else:
            assert selected
            assert selected <= set(range(first, last + 1))


# -- each rule


@pytest.mark.parametrize(
    ("keyword", "value", "expected"),
    [
        ("minute", "*", set(range(60))),
        ("hour", "*", set(range(24))),
        ("day", "*", set(range(1, 32))),
        ("month", "*", set(range(1, 13))),
        ("day_of_week", "*", set(range(7))),
        ("minute", "*/15", {0, 15, 30, 45}),
        ("minute", "*/7", {0, 7, 14, 21, 28, 35, 42, 49, 56}),
        ("minute", "*/60", {0}),
        ("minute", "*/1000", {0}),
        ("day", "*/10", {1, 11, 21, 31}),
        ("month", "*/5", {1, 6, 11}),
        ("minute", "5", {5}),
        ("minute", "05", {5}),
        ("minute", 5, {5}),
        ("minute", 0, {0}),
        ("minute", "1,2,30", {1, 2, 30}),
        ("minute", "1,1", {1}),
        ("minute", "*,5", set(range(60))),
        ("minute", "1-4", {1, 2, 3, 4}),
        ("minute", "4-4", {4}),
        ("minute", "1-9/4", {1, 5, 9}),
        ("minute", "1-9/100", {1}),
        ("minute", "0-10/5,*/30", {0, 5, 10, 30}),
        ("hour", "22-2", {22, 23, 0, 1, 2}),
        ("hour", "22-2/2", {22, 0, 2}),
        ("hour", "21-2/2", {21, 23, 1}),
        ("day", "30-2", {30, 31, 1, 2}),
        ("day", "30-3/2", {30, 1, 3}),
        ("month", "11-2", {11, 12, 1, 2}),
        ("day_of_week", "0", {0}),
        ("day_of_week", "7", {0}),
        ("day_of_week", 7, {0}),
        ("day_of_week", "0,7", {0}),
        ("day_of_week", "1-5", {1, 2, 3, 4, 5}),
        ("day_of_week", "5-1", {5, 6, 0, 1}),
        ("day_of_week", "5-7", {5, 6, 0}),
        ("day_of_week", "5-0", {5, 6, 0}),
        ("day_of_week", "7-2", {0, 1, 2}),
        ("day_of_week", "7-0", {0}),
        ("day_of_week", "7-7", {0}),
        ("day_of_week", "0-7", set(range(7))),
        ("day_of_week", "0-7/2", {0, 2, 4, 6}),
        ("day_of_week", "0-7/7", {0}),
        ("day_of_week", "1-7/2", {1, 3, 5, 0}),
        ("day_of_week", "7-3/2", {0, 2}),
        ("day_of_week", "5-1/2", {5, 0}),
        ("month", "jan", {1}),
        ("month", "December", {12}),
        ("month", "may", {5}),
        ("month", "FEB,sep", {2, 9}),
        ("month", "jun-Aug", {6, 7, 8}),
        ("month", "november-feb", {11, 12, 1, 2}),
        ("month", "jan-dec/6", {1, 7}),
        ("month", "oct-12", {10, 11, 12}),
        ("day_of_week", "sun", {0}),
        ("day_of_week", "SATURDAY", {6}),
        ("day_of_week", "Mon-Fri", {1, 2, 3, 4, 5}),
        ("day_of_week", "fri-mon", {5, 6, 0, 1}),
        ("day_of_week", "sat-sun", {6, 0}),
        ("day_of_week", "sun-sat/3", {0, 3, 6}),
        ("minute", " 1 , 2-3 ,\t*/30 ", {1, 2, 3, 0, 30}),
        ("day_of_week", " mon , fri ", {1, 5}),
    ],
)
def test_numbers_of_a_field(keyword, value, expected):
    assert numbers(keyword, value, strict=True) == expected
    assert numbers(keyword, value) == expected


@pytest.mark.parametrize(("number", "name"), [(number, name) for name, number in WEEKDAYS.items()])
def test_weekdays_are_those_of_the_calendar(number, name):
    moment = at("2024-09-01") + timedelta(days=number)  # the first of September 2024 was a Sunday
    assert crontab(day_of_week=number)(moment)
    assert crontab(day_of_week=name)(moment)
    assert not crontab(day_of_week=(number + 1) % 7)(moment)


def test_day_and_day_of_week_both_have_to_match():
    friday_13th = crontab(day="13", day_of_week="5")
    assert friday_13th(at("2024-09-13"))
    assert not friday_13th(at("2024-09-06"))  # another Friday
    assert not friday_13th(at("2024-10-13"))  # a Sunday


@pytest.mark.parametrize(
    "missed",
    [
        at("2024-07-01 03:31"),
        at("2024-07-01 04:30"),
        at("2024-07-08 03:30"),
        at("2024-04-01 03:30"),
        at("2023-07-01 03:30"),
    ],
)
def test_each_field_alone_can_refuse(missed):
    predicate = crontab("30", "3", "1", "7", "1")
    assert predicate(at("2024-07-01 03:30:59.000005")) is True
    assert predicate(missed) is False


def test_default_matches_every_minute():
    every = crontab()
    assert all(every(at("2024-02-28") + timedelta(minutes=67 * count)) for count in range(1000))


def test_aware_datetime_counts_by_its_own_clock():
    two = crontab(minute=0, hour=2)
    moment = at("2024-01-01 02:00+02:00")
    assert two(moment)
    assert not two(moment.astimezone(UTC))


# -- the value


def test_fields_are_frozensets():
    predicate = crontab("0", "1", "2", "3", "4")
    assert isinstance(predicate, Crontab)
    assert predicate == Crontab(*(frozenset({number}) for number in range(5)))
    assert predicate != crontab("0", "1", "2", "3", "5")
    assert {predicate, crontab(0, 1, 2, "mar", "thu")} == {predicate}


def test_predicate_is_immutable():
    predicate = crontab()
    with pytest.raises(FrozenInstanceError):
        predicate.minutes = frozenset()
    assert not hasattr(predicate, "__dict__")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_predicate_survives_pickle(protocol):
    predicate = crontab(minute="*/5", day_of_week="mon-fri")
    again = pickle.loads(pickle.dumps(predicate, protocol))
    assert again == predicate
    assert again(at("2024-09-02 00:05"))
    assert copy.deepcopy(predicate) == predicate


@pytest.mark.parametrize("function", [crontab, crontab.hourly, crontab.daily])
def test_function_survives_pickle(function):
    assert pickle.loads(pickle.dumps(function))(hour=3) == function(hour=3)


@pytest.mark.parametrize(
    ("predicate", "shown"),
    [
        (crontab(), "crontab()"),
        (
            crontab("*/20", 3, day_of_week="fri-mon"),
            "crontab(minute='0,20,40', hour='3', day_of_week='0-1,5-6')",
        ),
        (crontab(day="1", month="jun-aug"), "crontab(day='1', month='6-8')"),
        (crontab(minute="0-59", day_of_week="0-7"), "crontab()"),
    ],
)
def test_repr(predicate, shown):
    assert repr(predicate) == shown


def test_hourly_and_daily():
    assert crontab.hourly() == crontab(minute="0")
    assert crontab.hourly(hour="9-17", day_of_week="mon-fri") == crontab("0", "9-17", day_of_week="1-5")
    assert crontab.hourly(minute="30") == crontab(minute="30")
    assert crontab.daily() == crontab(minute="0", hour="0")
    assert crontab.daily(day=1) == crontab("0", "0", "1")
    assert crontab.daily(hour="4", minute="15") == crontab("15", "4")
    with pytest.raises(ValueError, match="^month: cannot read 'x'"):
        crontab.daily(month="x", strict=True)


# -- each error


@pytest.mark.parametrize(
    ("keyword", "value", "piece", "allowed"),
    [
        ("minute", "60", "60", "0 to 59"),
        ("minute", 60, "60", "0 to 59"),
        ("minute", "5,60", "60", "0 to 59"),
        ("minute", "50-60", "50-60", "0 to 59"),
        ("minute", "60-5", "60-5", "0 to 59"),
        ("minute", "0-99/5", "0-99/5", "0 to 59"),
        ("hour", "24", "24", "0 to 23"),
        ("day", "0", "0", "1 to 31"),
        ("day", 32, "32", "1 to 31"),
        ("day", "0-5", "0-5", "1 to 31"),
        ("month", "13", "13", "1 to 12"),
        ("month", "0-feb", "0-feb", "1 to 12"),
        ("day_of_week", "8", "8", "0 to 7"),
        ("day_of_week", "mon-8", "mon-8", "0 to 7"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_out_of_range(keyword, value, piece, allowed, strict):
    with pytest.raises(ValueError) as raised:
        numbers(keyword, value, strict=strict)
    assert str(raised.value) == f"{keyword}: '{piece}' is out of the range {allowed}"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("keyword", "value", "piece"),
    [
        ("minute", "*/0", "*/0"),
        ("hour", "1,*/00", "*/00"),
        ("day", "1-5/0", "1-5/0"),
        ("month", "jan-may/0", "jan-may/0"),
        ("day_of_week", "1-5/0", "1-5/0"),
    ],
)
def test_step_of_zero(keyword, value, piece, strict):
    with pytest.raises(ValueError) as raised:
        numbers(keyword, value, strict=strict)
    assert str(raised.value) == f"{keyword}: the step of '{piece}' must be 1 or more"


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("piece", ["*/1", "*/2", "*/7", "*/0"])
def test_day_of_week_has_no_every(piece, strict):
    with pytest.raises(ValueError) as raised:
        crontab(day_of_week=f"1,{piece}", strict=strict)
    assert (
        str(raised.value) == f"day_of_week: '{piece}' is not supported; give the days, or a range as in 1-5/2"
    )


@pytest.mark.parametrize("piece", [*JUNK, "mon", "jan", "janu", "jan-3"])
def test_unreadable_piece(piece):
    with pytest.raises(ValueError) as raised:
        crontab(minute=f"5,{piece}", strict=True)
    assert str(raised.value) == f"minute: cannot read {piece!r}; write *, */n, a, a-b or a-b/n"
    assert crontab(minute=f"5,{piece}") == crontab(minute=5)
    with pytest.raises(ValueError) as raised:
        crontab(minute=piece)
    assert str(raised.value) == f"minute: {piece!r} matches no values of 0 to 59"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("month", "mon"), ("month", "sept"), ("day_of_week", "jan"), ("day_of_week", "tues")],
)
def test_name_of_another_field_or_length(keyword, value):
    with pytest.raises(ValueError, match=f"^{keyword}: cannot read '{value}'"):
        numbers(keyword, value, strict=True)
    with pytest.raises(ValueError, match=f"^{keyword}: '{value}' matches no values of "):
        numbers(keyword, value)


def test_negative_int_matches_nothing():
    with pytest.raises(ValueError, match="^minute: -1 matches no values of 0 to 59$"):
        crontab(minute=-1)


@pytest.mark.parametrize("value", [None, 1.0, [1], (1, 2), b"1", True, {1}, date(2024, 1, 1)])
@pytest.mark.parametrize("keyword", FIELDS)
def test_wrong_type(keyword, value):
    with pytest.raises(TypeError) as raised:
        numbers(keyword, value)
    assert str(raised.value) == f"{keyword} must be a text or an int, not {value!r}"
