"""Writes recurrence-answers.txt: random recurrence rules with the answers of python-dateutil.

    pip install python-dateutil==2.9.0.post0
    python3 scheduler/calendars/icalendar/testing/recurrence-answers.py > scheduler/calendars/icalendar/testing/recurrence-answers.txt

This takes some minutes. Each line has a rule, its start and the first local times at which it recurs until the end of 2060, at most ten, with
a `|` between them. The rules are those that RFC 5545 allows. The script leaves out where dateutil does not follow the
RFC:

- BYWEEKNO with neither days nor months: dateutil takes every day of the week, the RFC the weekday of the start.
- BYSETPOS of a weekly rule: dateutil counts the positions of the first week from the start on, not from the first day
  of the week. So the start of such a rule is the first day of a week.
- The last days of a year with BYWEEKNO: dateutil does not know their negative numbers ("TODO" in its code), and
  computes the number of weeks of the year before with the length of the wrong year. So there are no weeks 52, 53, -1,
  -52 and -53.
- Days with a number together with days without one: dateutil wants both, the RFC either.
"""

import datetime
import random
import warnings

from dateutil.rrule import rrulestr

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
END = datetime.datetime(2060, 12, 31, 23, 59, 59)


def some(values, most):
    return random.sample(values, random.randint(1, min(most, len(values))))


def joined(values):
    return ",".join(str(value) for value in values)


def signed(most):
    return [n for n in range(-most, most + 1) if n != 0]


def chance(share):
    return random.random() < share


def weekdays(numbered):
    if numbered is None or chance(0.3):
        ordinals = [""]
    else:
        ordinals = [f"{n:+d}" if chance(0.3) else str(n) for n in numbered]
    return joined(sorted({random.choice(ordinals) + day for day in some(DAYS, 4)}))


def random_rule():
    frequency = random.choice(["DAILY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY", "YEARLY"])
    start = datetime.datetime(random.randint(2019, 2032), 1, 1) + datetime.timedelta(days=random.randint(0, 365))
    parts = {"FREQ": frequency}
    timed = chance(0.3)
    if timed:
        start += datetime.timedelta(hours=random.randint(0, 23), minutes=random.choice([0, 15, 30, 59]))
    if chance(0.5):
        parts["INTERVAL"] = random.choice([1, 2, 2, 3, 4, 5, 7, 12])
    if chance(0.3 if frequency != "YEARLY" else 0.5):
        parts["BYMONTH"] = joined(some(range(1, 13), 6))
    week_start = random.choice(DAYS) if chance(0.4) else "MO"
    if week_start != "MO" or chance(0.1):
        parts["WKST"] = week_start
    weeks = frequency == "YEARLY" and chance(0.25)
    if weeks:
        parts["BYWEEKNO"] = joined(some([n for n in signed(51) if n != -1], 5))
    if frequency == "YEARLY" and chance(0.2):
        parts["BYYEARDAY"] = joined(some(signed(366), 8))
    if frequency != "WEEKLY" and chance(0.3):
        parts["BYMONTHDAY"] = joined(some(signed(31), 6))
    if chance(0.55):
        if weeks or frequency in ("DAILY", "WEEKLY"):
            numbered = None
        elif frequency == "MONTHLY" or "BYMONTH" in parts:
            numbered = signed(5)
        else:
            numbered = signed(53)
        parts["BYDAY"] = weekdays(numbered)
    if weeks and not {"BYYEARDAY", "BYMONTHDAY", "BYDAY"} & set(parts):
        parts["BYDAY"] = weekdays(None)
    if timed and chance(0.4):
        parts["BYHOUR"] = joined(some(range(24), 3))
    if timed and chance(0.3):
        parts["BYMINUTE"] = joined(some(range(60), 3))
    if timed and chance(0.1):
        parts["BYSECOND"] = joined(some(range(60), 3))
    if len([part for part in parts if part.startswith("BY")]) > 0 and chance(0.3):
        parts["BYSETPOS"] = joined(some([1, 2, 3, 4, 5, 10, -1, -2, -3, -5, -10], 3))
        if frequency == "WEEKLY":
            start -= datetime.timedelta(days=(start.weekday() - DAYS.index(week_start)) % 7)
    if chance(0.4):
        parts["COUNT"] = random.randint(1, 15)
    elif chance(0.4):
        until = start + datetime.timedelta(days=random.randint(0, 3000))
        parts["UNTIL"] = until.strftime("%Y%m%dT%H%M%S" if timed else "%Y%m%d")
    order = list(parts.items())
    if chance(0.3):
        random.shuffle(order)
    return ";".join(f"{name}={value}" for name, value in order), start, timed


def answers(text, start):
    found = []
    rule = rrulestr(text, dtstart=start)
    rule = rule.replace(until=min(rule._until or END, END))
    for time in rule:
        if time > END or len(found) == 10:
            break
        found.append(time)
    return found


def main():
    # A rule with a count gets an end as well, which dateutil warns of. It keeps to both.
    warnings.simplefilter("ignore")
    random.seed(5545)
    written = 0
    empty = 0
    while written < 1000:
        text, start, timed = random_rule()
        found = answers(text, start)
        if not found:
            # Some rules without an answer are enough.
            empty += 1
            if empty > 25:
                continue
        form = "%Y%m%dT%H%M%S" if timed else "%Y%m%d"
        print("|".join([text, start.strftime(form), " ".join(time.strftime(form) for time in found)]))
        written += 1


main()
