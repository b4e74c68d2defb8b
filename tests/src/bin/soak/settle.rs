//! What requests that were sent together mean for the session whose token they presented.

use std::time::Instant;

use sessions::Timeouts;

use super::{
    account::{Account, Death, TOO_LATE, Underway},
    app::{NOTHING, Seen},
    ask::{Cookie, Kind, Shot},
};

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was answered, with what it saw of its session.
    Answered(Option<Seen>),
    /// 409: nothing of it happened.
    Refused,
    /// Dropped, or 503: nobody knows.
    InDoubt,
    /// Something that no request should end with.
    Strange,
}

impl End {
    pub(crate) fn of(shot: &Shot) -> Self {
        let Some(answer) = &shot.answer else { return Self::InDoubt };
        let expected = if shot.ask.fails { 500 } else { 200 };
        match answer.status {
            status if status == expected => match Seen::parse(&answer.text) {
                None if *answer.text == *NOTHING => Self::Answered(None),
                None => Self::Strange,
                seen => Self::Answered(seen),
            },
            409 => Self::Refused,
            503 => Self::InDoubt,
            _ => Self::Strange,
        }
    }
}

/// What becomes of a browser's tokens.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// The one that was presented.
    pub(crate) presented: Option<Account>,
    /// Those that responses brought.
    pub(crate) minted: Vec<Account>,
    /// How many records there may be of which no browser has a token.
    pub(crate) lost_records: usize,
    /// Whether the presented one was of no worth all of a sudden.
    pub(crate) is_gone: bool,
    /// What must not have happened: which request it was, and why.
    pub(crate) violations: Vec<(usize, &'static str)>,
}

/// Settles requests that were sent together with one token.
pub(crate) struct Settling<'a> {
    pub(crate) browser: u32,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) shots: &'a [Shot],
    /// The label of the next token.
    pub(crate) next_label: &'a mut u32,
}

impl Settling<'_> {
    pub(crate) fn settle(mut self, account: Option<Account>) -> Settled {
        let mut settled = Settled::default();
        let ends: Vec<_> = self.shots.iter().map(End::of).collect();
        for (index, end) in ends.iter().enumerate() {
            if let Some(objection) = self.objection(index, end, &ends, account.as_ref()) {
                settled.violations.push((index, objection));
            }
        }
        self.begin_new(&ends, account.as_ref(), &mut settled);
        if let Some(account) = account {
            self.carry_on(&ends, account, &mut settled);
        }
        settled
    }

    /// What is wrong with how a request ended, if anything is.
    fn objection(
        &self,
        index: usize,
        end: &End,
        ends: &[End],
        account: Option<&Account>,
    ) -> Option<&'static str> {
        let shot = &self.shots[index];
        let must_be_there = account.is_some_and(|account| account.is_certain(shot.done, self.timeouts))
            && !self.is_disturbed(index);
        let cookie = shot.answer.as_ref().map(|answer| &answer.cookie);
        match end {
            End::Strange => Some("an answer that none should be"),
            End::InDoubt => None,
            End::Refused if account.is_none() => Some("refused, without any session"),
            End::Refused if must_be_there => {
                Some("refused, though nothing else ended or rotated the session")
            }
            End::Refused => (cookie != Some(&Cookie::Kept)).then_some("a cookie with a refusal"),
            End::Answered(Some(seen)) => match account {
                None => Some("a session without a token"),
                Some(account) => {
                    let also = self.under_way(index, ends);
                    account.objection(seen, self.browser, &also).or_else(|| {
                        self.objection_to_cookie(
                            index,
                            account,
                            must_be_there,
                            cookie.unwrap_or(&Cookie::Strange),
                        )
                    })
                }
            },
            End::Answered(None) if must_be_there => {
                let is_user = account.is_some_and(|account| account.user != 0);
                Some(if is_user { "a user who is logged in is not" } else { "the session is lost" })
            }
            End::Answered(None) => {
                let creates = shot.ask.kind.creates() && shot.ask.has_effect();
                match cookie {
                    Some(Cookie::Set(token)) if creates => account
                        .is_some_and(|account| account.shares_record(token))
                        .then_some("a dead token is given the session's next one"),
                    Some(Cookie::Kept) if creates => Some("an acknowledged write is nowhere"),
                    Some(Cookie::Kept) => None,
                    _ => Some("a cookie that nobody asked for"),
                }
            }
        }
    }

    /// What is wrong with the cookie of an answer to a request that saw its session.
    fn objection_to_cookie(
        &self,
        index: usize,
        account: &Account,
        must_be_there: bool,
        cookie: &Cookie,
    ) -> Option<&'static str> {
        let ask = self.shots[index].ask;
        match cookie {
            Cookie::Set(token) if ask.rotates() && account.shares_record(token) => None,
            Cookie::Set(_) if ask.rotates() && ask.kind == Kind::Login && account.user == 0 => {
                must_be_there.then_some("a login that nobody disturbed began another session")
            }
            Cookie::Removed if ask.kind == Kind::Destroy => None,
            // A commit that was refused stays a server error, as the handler had it.
            Cookie::Kept if ask.fails => {
                let is_amiss = must_be_there && ask.has_effect();
                is_amiss.then_some("a failing request kept a right, or the token")
            }
            Cookie::Kept if !ask.rotates() && ask.kind != Kind::Destroy => None,
            Cookie::Kept => Some("the session goes on with the token from before"),
            _ => Some("a cookie that nobody asked for"),
        }
    }

    /// Whether another of the requests may have ended the session or replaced its token.
    fn is_disturbed(&self, index: usize) -> bool {
        self.shots
            .iter()
            .enumerate()
            .any(|(other, shot)| other != index && (shot.ask.rotates() || shot.ask.kind == Kind::Destroy))
    }

    /// What others of the requests may have written by the time that one of them was answered.
    fn under_way(&self, index: usize, ends: &[End]) -> Underway {
        let mut under_way = Underway::default();
        for (other, shot) in self.shots.iter().enumerate() {
            if other == index || !shot.ask.has_effect() || ends[other] == End::Refused {
                continue;
            }
            match shot.ask.kind {
                Kind::Click => under_way.clicks += 1,
                Kind::Add => under_way.adds += 1,
                Kind::Note => under_way.notes.push(shot.ask.value),
                Kind::Draft => under_way.drafts.push(shot.ask.value),
                _ => {}
            }
        }
        under_way
    }

    /// The sessions that the requests began.
    fn begin_new(&mut self, ends: &[End], account: Option<&Account>, settled: &mut Settled) {
        for (shot, end) in self.shots.iter().zip(ends) {
            let ask = shot.ask;
            if *end == End::InDoubt && ask.has_effect() && (ask.rotates() || ask.kind.creates()) {
                // Its cookie is lost with its answer.
                let is_new = account.is_none_or(|account| !account.is_certain(shot.done, self.timeouts));
                settled.lost_records += usize::from(is_new || ask.rotates());
            }
            let Some(Cookie::Set(token)) = shot.answer.as_ref().map(|answer| &answer.cookie) else {
                continue;
            };
            if account.is_none_or(|account| !account.shares_record(token)) {
                let (label, times) = (self.label(), [shot.sent, shot.done]);
                settled.minted.push(Account::new(token.clone(), label, ask.kind, ask.value, times));
            }
        }
    }

    /// What becomes of the session that the requests presented a token of.
    fn carry_on(&mut self, ends: &[End], mut account: Account, settled: &mut Settled) {
        let mut replacements = Vec::new();
        let (mut is_ended, mut is_unknown) = (false, false);
        for (index, (shot, end)) in self.shots.iter().zip(ends).enumerate() {
            match end {
                End::Answered(Some(seen)) => {
                    if account.dead.is_none() && settled.violations.iter().any(|(other, _)| *other == index) {
                        // Told once.
                        account.put_up_with(seen, shot.done);
                    }
                    account.record = Some(seen.record);
                    if !shot.ask.fails {
                        account.used = account.used.max(shot.sent);
                        account.is_known = true;
                    }
                    settle_doubts(&mut account, shot.sent);
                    acknowledge(&mut account, shot);
                    match shot.answer.as_ref().map(|answer| &answer.cookie) {
                        Some(Cookie::Set(token)) if account.shares_record(token) => {
                            replacements.push((index, token.clone()));
                        }
                        Some(Cookie::Removed) => is_ended = true,
                        Some(Cookie::Kept) if shot.ask.rotates() => doubt(&mut account, shot),
                        _ => {}
                    }
                }
                End::Answered(None) => is_unknown = true,
                End::InDoubt => doubt(&mut account, shot),
                End::Refused | End::Strange => {}
            }
        }
        if replacements.len() > 1 {
            let (index, _) = replacements[1];
            settled.violations.push((index, "one token was replaced twice"));
        }
        let death = match (is_ended, replacements.is_empty(), is_unknown) {
            (true, ..) => Some(Death::Ended),
            (_, false, _) => Some(Death::Replaced),
            (_, _, true) => Some(Death::Unknown),
            _ => None,
        };
        for (index, token) in replacements {
            let (ask, done) = (self.shots[index].ask, self.shots[index].done);
            let mut next = account.successor(token, self.label(), ask.kind, ask.value, done);
            next.dead = is_ended.then_some(Death::Ended);
            settled.minted.push(next);
        }
        settled.is_gone = account.dead.is_none() && death == Some(Death::Unknown);
        account.dead = account.dead.or(death);
        settled.presented = Some(account);
    }

    fn label(&mut self) -> u32 {
        *self.next_label += 1;
        *self.next_label
    }
}

/// A request that was sent after all doubts were over has seen the session.
fn settle_doubts(account: &mut Account, sent: Instant) {
    for until in [&mut account.may_be_rotated, &mut account.may_be_ended] {
        if until.is_some_and(|until| until < sent) {
            *until = None;
        }
    }
}

/// Enters a write that was acknowledged.
fn acknowledge(account: &mut Account, shot: &Shot) {
    if !shot.ask.has_effect() {
        return;
    }
    let (value, sent, done) = (shot.ask.value, shot.sent, shot.done);
    match shot.ask.kind {
        Kind::Click => account.clicks.sure += 1,
        Kind::Add => account.count.sure += 1,
        Kind::Note => account.note.put(value, sent, done),
        Kind::Draft => account.draft.put(value, sent, done),
        _ => {}
    }
}

/// Enters a request that may have happened, or may yet.
fn doubt(account: &mut Account, shot: &Shot) {
    let until = Some(shot.done + TOO_LATE);
    match shot.ask.kind {
        Kind::Destroy => account.may_be_ended = account.may_be_ended.max(until),
        _ if !shot.ask.has_effect() => {}
        Kind::Read => {}
        Kind::Click => account.clicks.maybe += 1,
        Kind::Add => account.count.maybe += 1,
        Kind::Note => account.note.may_put(shot.ask.value, shot.done),
        Kind::Draft => account.draft.may_put(shot.ask.value, shot.done),
        _ => account.may_be_rotated = account.may_be_rotated.max(until),
    }
}
