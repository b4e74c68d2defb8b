//! The effect of requests that were sent together on the session whose token they presented.

use std::time::Instant;

use sessions::Timeouts;

use super::{
    account::{Death, TOO_LATE, TokenAccount, Underway},
    app::{NOTHING, SeenSession},
    ask::{AskKind, Cookie, Shot},
};

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestEnd {
    /// It was answered, with the contents of the session that it saw.
    Answered(Option<SeenSession>),
    /// 409: nothing of it happened.
    Refused,
    /// It was dropped, or answered with 503: its outcome is unknown.
    OutcomeUnknown,
    /// An end that no request may have.
    Strange,
}

impl RequestEnd {
    pub(crate) fn of(shot: &Shot) -> Self {
        let Some(answer) = &shot.answer else { return Self::OutcomeUnknown };
        let expected = if shot.ask.fails { 500 } else { 200 };
        match answer.status {
            status if status == expected => match SeenSession::parse(&answer.text) {
                None if *answer.text == *NOTHING => Self::Answered(None),
                None => Self::Strange,
                seen => Self::Answered(seen),
            },
            409 => Self::Refused,
            503 => Self::OutcomeUnknown,
            _ => Self::Strange,
        }
    }
}

/// The tokens of a browser after requests.
#[derive(Debug, Default)]
pub(crate) struct TokenOutcome {
    /// The one that was presented.
    pub(crate) presented: Option<TokenAccount>,
    /// The tokens that responses brought.
    pub(crate) minted: Vec<TokenAccount>,
    /// The number of records that may exist and of which no browser has a token.
    pub(crate) lost_records: usize,
    /// True if the presented token was suddenly not accepted.
    pub(crate) is_gone: bool,
    /// The errors: the request, and the reason.
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
    pub(crate) fn settle(mut self, account: Option<TokenAccount>) -> TokenOutcome {
        let mut settled = TokenOutcome::default();
        let ends: Vec<_> = self.shots.iter().map(RequestEnd::of).collect();
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

    /// Returns an error in the end of a request, if there is one.
    fn objection(
        &self,
        index: usize,
        end: &RequestEnd,
        ends: &[RequestEnd],
        account: Option<&TokenAccount>,
    ) -> Option<&'static str> {
        let shot = &self.shots[index];
        let must_be_there = account.is_some_and(|account| account.is_certain(shot.done, self.timeouts))
            && !self.is_disturbed(index);
        let cookie = shot.answer.as_ref().map(|answer| &answer.cookie);
        match end {
            RequestEnd::Strange => Some("an answer that none should be"),
            RequestEnd::OutcomeUnknown => None,
            RequestEnd::Refused if account.is_none() => Some("refused, without any session"),
            RequestEnd::Refused if must_be_there => {
                Some("refused, though nothing else ended or rotated the session")
            }
            RequestEnd::Refused => (cookie != Some(&Cookie::Kept)).then_some("a cookie with a refusal"),
            RequestEnd::Answered(Some(seen)) => match account {
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
            RequestEnd::Answered(None) if must_be_there => {
                let is_user = account.is_some_and(|account| account.user != 0);
                Some(if is_user { "a user who is logged in is not" } else { "the session is lost" })
            }
            RequestEnd::Answered(None) => {
                let creates = shot.ask.kind.creates() && shot.ask.has_effect();
                match cookie {
                    Some(Cookie::Set(token)) if creates => account
                        .is_some_and(|account| account.shares_record(token))
                        .then_some("a dead token is given the session's next one"),
                    Some(Cookie::Kept) if creates => Some("an acknowledged write is nowhere"),
                    Some(Cookie::Kept) => None,
                    _ => Some("a cookie without a reason"),
                }
            }
        }
    }

    /// Returns an error in the cookie of a response to a request that saw its session, if there is one.
    fn objection_to_cookie(
        &self,
        index: usize,
        account: &TokenAccount,
        must_be_there: bool,
        cookie: &Cookie,
    ) -> Option<&'static str> {
        let ask = self.shots[index].ask;
        match cookie {
            Cookie::Set(token) if ask.rotates() && account.shares_record(token) => None,
            Cookie::Set(_) if ask.rotates() && ask.kind == AskKind::Login && account.user == 0 => {
                must_be_there.then_some("a login that no other request disturbed began another session")
            }
            Cookie::Removed if ask.kind == AskKind::Destroy => None,
            // If its commit was refused, the server error of the handler stays.
            Cookie::Kept if ask.fails => {
                let is_amiss = must_be_there && ask.has_effect();
                is_amiss.then_some("a failing request kept a right, or the token")
            }
            Cookie::Kept if !ask.rotates() && ask.kind != AskKind::Destroy => None,
            Cookie::Kept => Some("the session goes on with the token from before"),
            _ => Some("a cookie without a reason"),
        }
    }

    /// Returns true if another of the requests may have ended the session or replaced its token.
    fn is_disturbed(&self, index: usize) -> bool {
        self.shots
            .iter()
            .enumerate()
            .any(|(other, shot)| other != index && (shot.ask.rotates() || shot.ask.kind == AskKind::Destroy))
    }

    /// Returns the writes of others of the requests that may have happened before one of them was answered.
    fn under_way(&self, index: usize, ends: &[RequestEnd]) -> Underway {
        let mut under_way = Underway::default();
        for (other, shot) in self.shots.iter().enumerate() {
            if other == index || !shot.ask.has_effect() || ends[other] == RequestEnd::Refused {
                continue;
            }
            match shot.ask.kind {
                AskKind::Click => under_way.clicks += 1,
                AskKind::Add => under_way.adds += 1,
                AskKind::Note => under_way.notes.push(shot.ask.value),
                AskKind::Draft => under_way.drafts.push(shot.ask.value),
                _ => {}
            }
        }
        under_way
    }

    /// Returns the accounts of the sessions that the requests began.
    fn begin_new(&mut self, ends: &[RequestEnd], account: Option<&TokenAccount>, settled: &mut TokenOutcome) {
        for (shot, end) in self.shots.iter().zip(ends) {
            let ask = shot.ask;
            if *end == RequestEnd::OutcomeUnknown && ask.has_effect() && (ask.rotates() || ask.kind.creates())
            {
                // Its cookie is lost with its response.
                let is_new = account.is_none_or(|account| !account.is_certain(shot.done, self.timeouts));
                settled.lost_records += usize::from(is_new || ask.rotates());
            }
            let Some(Cookie::Set(token)) = shot.answer.as_ref().map(|answer| &answer.cookie) else {
                continue;
            };
            if account.is_none_or(|account| !account.shares_record(token)) {
                let (label, times) = (self.label(), [shot.sent, shot.done]);
                settled.minted.push(TokenAccount::new(token.clone(), label, ask.kind, ask.value, times));
            }
        }
    }

    /// Updates the account of the session whose token the requests presented.
    fn carry_on(&mut self, ends: &[RequestEnd], mut account: TokenAccount, settled: &mut TokenOutcome) {
        let mut replacements = Vec::new();
        let (mut is_ended, mut is_unknown) = (false, false);
        for (index, (shot, end)) in self.shots.iter().zip(ends).enumerate() {
            match end {
                RequestEnd::Answered(Some(seen)) => {
                    if account.dead.is_none() && settled.violations.iter().any(|(other, _)| *other == index) {
                        // FinishedRequest once.
                        account.put_up_with(seen, shot.done);
                    }
                    account.record = Some(seen.record);
                    if !shot.ask.fails {
                        account.used = account.used.max(shot.sent);
                        account.is_known = true;
                    }
                    settle_unknown(&mut account, shot.sent);
                    acknowledge(&mut account, shot);
                    match shot.answer.as_ref().map(|answer| &answer.cookie) {
                        Some(Cookie::Set(token)) if account.shares_record(token) => {
                            replacements.push((index, token.clone()));
                        }
                        Some(Cookie::Removed) => is_ended = true,
                        Some(Cookie::Kept) if shot.ask.rotates() => note_unknown(&mut account, shot),
                        _ => {}
                    }
                }
                RequestEnd::Answered(None) => is_unknown = true,
                RequestEnd::OutcomeUnknown => note_unknown(&mut account, shot),
                RequestEnd::Refused | RequestEnd::Strange => {}
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

/// Notes that a request has seen the session, after the time in which outcomes are unknown.
fn settle_unknown(account: &mut TokenAccount, sent: Instant) {
    for until in [&mut account.may_be_rotated, &mut account.may_be_ended] {
        if until.is_some_and(|until| until < sent) {
            *until = None;
        }
    }
}

/// Notes a write that was acknowledged.
fn acknowledge(account: &mut TokenAccount, shot: &Shot) {
    if !shot.ask.has_effect() {
        return;
    }
    let (value, sent, done) = (shot.ask.value, shot.sent, shot.done);
    match shot.ask.kind {
        AskKind::Click => account.clicks.sure += 1,
        AskKind::Add => account.count.sure += 1,
        AskKind::Note => account.note.put(value, sent, done),
        AskKind::Draft => account.draft.put(value, sent, done),
        _ => {}
    }
}

/// Notes a request that may have happened, or may happen later.
fn note_unknown(account: &mut TokenAccount, shot: &Shot) {
    let until = Some(shot.done + TOO_LATE);
    match shot.ask.kind {
        AskKind::Destroy => account.may_be_ended = account.may_be_ended.max(until),
        _ if !shot.ask.has_effect() => {}
        AskKind::Read => {}
        AskKind::Click => account.clicks.maybe += 1,
        AskKind::Add => account.count.maybe += 1,
        AskKind::Note => account.note.may_put(shot.ask.value, shot.done),
        AskKind::Draft => account.draft.may_put(shot.ask.value, shot.done),
        _ => account.may_be_rotated = account.may_be_rotated.max(until),
    }
}
