"""What customers do between two due dates: visits, requests, complaints, surveys, letters, benefits."""

from __future__ import annotations

import numpy as np

from parcours.pipelines.simulate.acquisition import MINUTE, SECOND, e_mail
from parcours.pipelines.simulate.population import after, opening_hours, seasonal, some
from parcours.pipelines.simulate.rows import Draft, Ints
from parcours.pipelines.simulate.words import DAY, END, START, WORDS, code

_HUMAN = ["phone", "app", "site", "agency", "email", "video"]
_NPS = np.array([4, 1, 2, 2, 3, 6, 7, 16, 24, 18, 17]) / 100
_ENGAGEMENT = [code("survey", name) for name in WORDS["survey"][5:]]


def live(draft: Draft, who: Ints, since: Ints, closed: tuple[Ints, Ints]) -> None:
    """Emit the daily life of customers.

    Args:
        draft: where events go.
        who: customers, each once, as positions in the chunk.
        since: when each became one.
        closed: who had a claim closed, and when: they are asked how it went.
    """
    _visit(draft, *_moments(draft, who, since, 5))
    served = _ask(draft, *_moments(draft, who, since, 1.1))
    _complain(draft, *_moments(draft, who, since, 0.05))
    _survey(draft, "csat", *closed, 0.3, low=1, shares=np.array([0.06, 0.07, 0.15, 0.34, 0.38]))
    _survey(draft, "ces", *served, 0.25, low=1, shares=np.array([0.04, 0.04, 0.07, 0.1, 0.15, 0.3, 0.3]))
    _survey(draft, "nps", *_moments(draft, who, since, 0.8), 0.22, low=0, shares=_NPS)
    people, at = _moments(draft, who, since, 3)
    consenting = np.isin(draft.people.consent[people], [0, 2])
    letters = np.full(int(consenting.sum()), code("campaign", "members_letter"))
    e_mail(draft, "newsletter", people[consenting], at[consenting], letters)
    people, at = _moments(draft, who, since, 0.08)
    draft.emit("loyalty_joined", "app", people, at)
    for _ in range(2):
        at = after(draft.rng, at, 70)
        draft.emit("benefit_used", "app", people, at)
    _tell_others(draft, *_moments(draft, who, since, 0.09))


def _moments(draft: Draft, who: Ints, since: Ints, a_year: float) -> tuple[Ints, Ints]:
    """Draw times at which something befalls each customer, at that rate from when they became one."""
    people = np.repeat(who, draft.rng.poisson(2 * a_year, len(who)))
    at = seasonal(draft.rng, len(people))
    since_of = np.zeros(len(draft.people), np.int64)
    since_of[who] = since
    real = at >= since_of[people]
    return people[real], at[real]


def _visit(draft: Draft, who: Ints, at: Ints) -> None:
    """Emit visits of one to four pages, minutes apart."""
    rng = draft.rng
    channel = rng.choice(["app", "site"], len(who), p=[0.55, 0.45])
    pages = rng.choice(4, len(who), p=[0.35, 0.3, 0.2, 0.15])
    for turn in range(4):
        on = np.flatnonzero(pages >= turn)
        event = "document_downloaded" if turn == 2 else "account_viewed"
        page = rng.integers(0, len(WORDS["page"]), len(on))
        draft.emit(event, channel[on], who[on], at[on], page=page)
        at = at + rng.integers(3, 500, len(at)) * SECOND


def _ask(draft: Draft, who: Ints, at: Ints) -> tuple[Ints, Ints]:
    """Emit requests and their answers; return who was served, and when."""
    rng = draft.rng
    case, theme = draft.number(len(who)), rng.integers(0, len(WORDS["theme"]), len(who))
    channel = rng.choice(_HUMAN, len(who), p=[0.4, 0.2, 0.15, 0.1, 0.1, 0.05])
    draft.emit("request_opened", channel, who, at, case=case, theme=theme)
    answered = some(rng, who, 0.96)
    who, case, theme, channel = who[answered], case[answered], theme[answered], channel[answered]
    at = np.where(
        np.isin(channel, ["phone", "video"]), at[answered] + 12 * MINUTE, after(rng, at[answered], 1.5)
    )
    draft.emit("request_closed", channel, who, at, case=case, theme=theme)
    again = some(rng, who, 0.1)
    draft.emit(
        "request_opened",
        "phone",
        who[again],
        opening_hours(rng, at[again] + 2 * DAY),
        case=draft.number(len(again)),
        theme=theme[again],
    )
    return who, at


def _complain(draft: Draft, who: Ints, at: Ints) -> None:
    """Emit complaints: most acknowledged and answered within the legal delays, some never."""
    rng = draft.rng
    case, theme = draft.number(len(who)), rng.integers(0, len(WORDS["theme"]), len(who))
    means = rng.choice(["email", "mail", "phone", "site"], len(who), p=[0.45, 0.3, 0.15, 0.1])
    draft.emit("complaint_opened", means, who, at, case=case, theme=theme)
    known = some(rng, who, 0.95)
    seen = opening_hours(rng, after(rng, at[known], 4))
    draft.emit("complaint_acknowledged", "mail", who[known], seen, case=case[known], theme=theme[known])
    told = some(rng, known, 0.97)
    done = opening_hours(rng, after(rng, seen[told], 22))
    draft.emit(
        "complaint_answered", "mail", who[known][told], done, case=case[known][told], theme=theme[known][told]
    )


def _survey(
    draft: Draft, name: str, who: Ints, at: Ints, answering: float, *, low: int, shares: np.ndarray
) -> None:
    """Emit a survey sent a day after, and the answers, whose scores begin at ``low``."""
    rng = draft.rng
    case, at = draft.number(len(who)), at + DAY
    draft.emit("survey_sent", "email", who, at, case=case, content=name)
    answered = some(rng, who, answering)
    score = low + rng.choice(len(shares), len(answered), p=shares)
    at = after(rng, at[answered], 0.7, 1.3)
    draft.emit("survey_answered", "email", who[answered], at, case=case[answered], survey=name, score=score)
    if name == "nps":
        draft.emit(
            "survey_answered",
            "email",
            who[answered],
            at,
            case=case[answered],
            survey="recommend",
            score=score,
        )


def _tell_others(draft: Draft, who: Ints, at: Ints) -> None:
    """Emit referrals, reviews and the customers willing to be named."""
    rng = draft.rng
    kind = rng.choice(3, len(who), p=[0.5, 0.4, 0.1])
    made = np.flatnonzero(kind == 0)
    referral = draft.number(len(made))
    draft.emit("referral_made", "app", who[made], at[made], referral=referral)
    bound = some(rng, made, 0.35)
    later = opening_hours(rng, after(rng, at[made][bound], 20))
    draft.emit("referral_converted", "agency", who[made][bound], later, referral=referral[bound])
    wrote = np.flatnonzero(kind == 1)
    stars = 1 + rng.choice(5, len(wrote), p=[0.12, 0.06, 0.12, 0.3, 0.4])
    draft.emit("review_posted", "site", who[wrote], at[wrote], survey="review", score=stars)
    draft.emit("reference_accepted", "phone", who[kind == 2], opening_hours(rng, at[kind == 2]))


def take_part(draft: Draft, who: Ints, since: Ints) -> None:
    """Emit the life of a mutual: votes, meetings, panels, the forum, listings among members, volunteers."""
    rng = draft.rng
    for year in range(2):
        june = START + (year * 365 + 160) * DAY
        members = who[since < june]
        voting = members[some(rng, members, 0.09)]
        at = june - (rng.random(len(voting)) * 12 * DAY).astype(np.int64)
        draft.emit(
            "member_voted", rng.choice(["app", "site", "mail"], len(voting), p=[0.4, 0.35, 0.25]), voting, at
        )
        # Everybody at a meeting is there at one instant.
        meeting = members[some(rng, members, 0.02)]
        draft.emit(
            "meeting_attended",
            "event",
            meeting,
            np.full(len(meeting), june + 18 * 60 * MINUTE),
            theme="claims",
        )
    people, at = _moments(draft, who, since, 0.04)
    for element in _ENGAGEMENT:
        score = np.minimum(rng.binomial(10, 0.72, len(people)), 10)
        draft.emit("panel_answered", "site", people, at, survey=element, score=score)
    _forum(draft, *_moments(draft, who, since, 0.05))
    people, at = _moments(draft, who, since, 0.03)
    case, theme = draft.number(len(people)), rng.integers(4, len(WORDS["theme"]), len(people))
    offers = rng.random(len(people)) < 0.6
    for event, chosen in (("listing_offered", offers), ("listing_asked", ~offers)):
        draft.emit(event, "forum", people[chosen], at[chosen], case=case[chosen], theme=theme[chosen])
    met = some(rng, people, 0.4)
    draft.emit(
        "listing_matched", "forum", people[met], after(rng, at[met], 6), case=case[met], theme=theme[met]
    )
    people, at = _moments(draft, who, since, 0.02)
    draft.emit("volunteer_invited", "phone", people, at)
    ready = some(rng, people, 0.4)
    people, at = people[ready], opening_hours(rng, at[ready] + 9 * DAY)
    draft.emit("volunteer_joined", "event", people, at)
    gone = some(rng, people, 0.2)
    draft.emit("volunteer_left", "phone", people[gone], np.minimum(after(rng, at[gone], 200), END - 1))


def _forum(draft: Draft, who: Ints, at: Ints) -> None:
    """Emit posts and questions: some forwarded to a volunteer, reminded, and most of them answered."""
    rng = draft.rng
    asks = rng.random(len(who)) < 0.6
    draft.emit("forum_posted", "forum", who[~asks], at[~asks], theme="prevention")
    who, at = who[asks], at[asks]
    case, theme = draft.number(len(who)), rng.integers(0, len(WORDS["theme"]), len(who))
    draft.emit("question_asked", "forum", who, at, case=case, theme=theme)
    for event, share, days in (
        ("question_forwarded", 0.3, 0.3),
        ("question_reminded", 0.2, 5.0),
        ("question_answered", 0.87, 1.2),
    ):
        on = some(rng, who, share)
        draft.emit(event, "forum", who[on], after(rng, at[on], days), case=case[on], theme=theme[on])
