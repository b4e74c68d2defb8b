//! A browser: its cookie jar, its former tokens, and its requests.

use std::{
    collections::VecDeque,
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use sessions::{Timeouts, testing::Client};
use tokio::sync::Semaphore;

use super::{
    account::TokenAccount,
    ask::{Ask, AskKind, Cookie, Shot, SoakAnswer},
    random::SeededRandom,
    settle::{RequestEnd, Settling, TokenOutcome},
    tally::{Manner, Tally},
};

/// The number of former tokens that a browser keeps.
const FORMER: usize = 4;

/// The number of last requests that a browser reports with an error.
const HISTORY: usize = 12;

/// The application and the counts that all browsers share.
pub(crate) struct World {
    pub(crate) app: Client,
    pub(crate) timeouts: Timeouts,
    /// The requests that may be in flight.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) began: Instant,
}

/// A browser.
pub(crate) struct Browser {
    number: u32,
    /// The token that it sends.
    jar: Option<TokenAccount>,
    former: Vec<TokenAccount>,
    /// The number of values and tokens that it had so far.
    last_value: u32,
    last_label: u32,
    history: VecDeque<FinishedRequest>,
}

/// A request that is over, as a text for messages.
struct FinishedRequest {
    ask: Ask,
    manner: Manner,
    token: u32,
    times: [Instant; 2],
    status: u16,
    end: RequestEnd,
    cookie: &'static str,
}

impl Browser {
    pub(crate) fn new(number: u32) -> Self {
        let (former, history) = (Vec::with_capacity(FORMER), VecDeque::with_capacity(HISTORY));
        Self { number, jar: None, former, last_value: 0, last_label: 0, history }
    }

    /// Begins a session.
    pub(crate) async fn begin(&mut self, world: &World) {
        self.one(world, AskKind::Note).await;
    }

    /// Reads its session.
    pub(crate) async fn look(&mut self, world: &World) {
        self.one(world, AskKind::Read).await;
    }

    /// Returns the number of records that it may still have.
    pub(crate) fn records(&self) -> usize {
        self.jar.iter().chain(&self.former).filter(|account| account.dead.is_none()).count()
    }

    /// Returns true if the session of its jar must exist.
    pub(crate) fn is_certain(&self, world: &World) -> bool {
        self.jar.as_ref().is_some_and(|jar| jar.is_certain(Instant::now(), &world.timeouts))
    }

    /// Acts once at random, and checks the responses.
    pub(crate) async fn act(&mut self, world: &World, random: &mut SeededRandom) {
        match random.below(100) {
            0..15 => self.at_once(world, random).await,
            15..22 if !self.former.is_empty() => self.with_former_token(world, random).await,
            22..24 => self.as_stranger(world, random).await,
            _ => {
                let ask = self.ask(random, 6);
                let asks = vec![ask];
                let jar = self.jar.take();
                let (jar, others) = self.send_all(world, random, Manner::Alone, jar, asks).await;
                self.jar = jar;
                self.tidy(world, random, others).await;
            }
        }
    }

    /// Sends several requests with one token, whose responses come in any order.
    async fn at_once(&mut self, world: &World, random: &mut SeededRandom) {
        let mut asks: Vec<_> = (0..2 + random.below(3)).map(|_| self.ask(random, 10)).collect();
        for ask in &mut asks {
            *ask = if ask.is_to_be_dropped() { *ask } else { ask.with_long_pauses(random) };
        }
        let jar = self.jar.take();
        let (jar, others) = self.send_all(world, random, Manner::AtOnce, jar, asks).await;
        self.jar = jar;
        self.tidy(world, random, others).await;
    }

    /// Sends a request with a former token.
    async fn with_former_token(&mut self, world: &World, random: &mut SeededRandom) {
        let ask = self.ask(random, 5);
        let former = self.former.swap_remove(random.below(self.former.len()));
        let (kept, others) = self.send_all(world, random, Manner::Former, Some(former), vec![ask]).await;
        self.tidy(world, random, kept.into_iter().chain(others).collect()).await;
    }

    /// Sends a request of a browser that takes no cookie.
    async fn as_stranger(&mut self, world: &World, random: &mut SeededRandom) {
        let ask = Ask::new(AskKind::Add, self.value());
        let (kept, _) = self.send_all(world, random, Manner::Stranger, None, vec![ask]).await;
        world.tally.leave(kept.map_or(0, |_| 1), world.timeouts.first_visit());
    }

    async fn one(&mut self, world: &World, kind: AskKind) {
        let (ask, jar) = (Ask::new(kind, self.value()), self.jar.take());
        let mut random = SeededRandom::new(0, 0);
        let (jar, _) = self.send_all(world, &mut random, Manner::Alone, jar, vec![ask]).await;
        self.jar = jar;
    }

    /// Creates a request of any kind, which is dropped in this many of a hundred cases, or fails.
    fn ask(&mut self, random: &mut SeededRandom, drops: usize) -> Ask {
        let ask = Ask::any(self.value(), random);
        let ask = if random.percent(6) { ask.with_failure() } else { ask };
        if random.percent(drops) { ask.with_drop(random) } else { ask }
    }

    /// Returns another value each time, which no other browser uses.
    fn value(&mut self) -> u64 {
        self.last_value += 1;
        u64::from(self.number) << 32 | u64::from(self.last_value)
    }

    /// Sends requests with one token and takes the responses in any order. Returns the token that a jar has then, and
    /// the others.
    async fn send_all(
        &mut self,
        world: &World,
        random: &mut SeededRandom,
        manner: Manner,
        account: Option<TokenAccount>,
        asks: Vec<Ask>,
    ) -> (Option<TokenAccount>, Vec<TokenAccount>) {
        let token = account.as_ref().map(|account| account.token.clone());
        let label = account.as_ref().map_or(0, |account| account.label);
        let shots = send(world, self.number, token.as_deref(), asks).await;
        let settling = Settling {
            browser: self.number,
            timeouts: &world.timeouts,
            shots: &shots,
            next_label: &mut self.last_label,
        };
        let before = account.as_ref().map_or_else(|| "no token".to_owned(), ToString::to_string);
        let TokenOutcome { presented, minted, lost_records, is_gone, violations } = settling.settle(account);
        world.tally.leave(lost_records, world.timeouts.idle());
        // Its record may be dead and not yet purged.
        world.tally.leave(usize::from(is_gone), Duration::ZERO);
        for shot in &shots {
            let told = FinishedRequest::new(shot, manner, label, &minted);
            world.tally.count(shot.ask.kind, manner, &told.end, shot.ask.fails, shot.ask.is_to_be_dropped());
            if self.history.len() == HISTORY {
                self.history.pop_front();
            }
            self.history.push_back(told);
        }
        for (index, objection) in violations {
            let ask = shots[index].ask;
            world.tally.violate(objection, || self.story(world, ask, &before));
        }
        let mut order: Vec<_> = shots.iter().filter_map(|shot| shot.answer.as_ref()).collect();
        random.shuffle(&mut order);
        let kept = after(token, &order);
        let mut others: Vec<_> = presented.into_iter().chain(minted).collect();
        let position = kept.and_then(|kept| others.iter().position(|other| other.token == kept));
        let kept = position.map(|position| others.remove(position));
        (kept, others)
    }

    /// Ends or leaves the sessions whose tokens the browser has lost, and keeps the tokens.
    async fn tidy(&mut self, world: &World, random: &mut SeededRandom, others: Vec<TokenAccount>) {
        for account in others {
            let is_to_be_ended = account.dead.is_none() && random.percent(50);
            let account = if is_to_be_ended {
                let ask = Ask::new(AskKind::Destroy, self.value());
                // It uses no cookie of the jar, and brings nothing but a removal.
                let (kept, mut rest) =
                    self.send_all(world, random, Manner::Former, Some(account), vec![ask]).await;
                kept.or_else(|| rest.pop())
            } else {
                Some(account)
            };
            if self.former.len() == FORMER {
                let dropped = self.former.swap_remove(random.below(FORMER));
                world.tally.leave(dropped.dead.map_or(1, |_| 0), world.timeouts.idle());
            }
            self.former.extend(account);
        }
    }

    /// Returns the requests before an error, as a text.
    fn story(&self, world: &World, ask: Ask, expected: &str) -> String {
        let value = ask.value & u64::from(u32::MAX);
        let mut story =
            format!("  browser {}, {} {value}; before: {expected}\n", self.number, ask.kind.name());
        for told in &self.history {
            let _ = writeln!(story, "  {}", told.line(world.began));
        }
        story
    }
}

/// Sends requests, at most as many at a time as are allowed.
async fn send(world: &World, browser: u32, token: Option<&str>, asks: Vec<Ask>) -> Vec<Shot> {
    let mut tasks = Vec::with_capacity(asks.len());
    for ask in asks {
        let (app, permits) = (world.app.clone(), Arc::clone(&world.permits));
        let token = token.map(Into::into);
        tasks.push(tokio::spawn(async move {
            let _permit = permits.acquire_owned().await;
            ask.send(app, browser, token).await
        }));
    }
    let mut shots = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(shot) => shots.push(shot),
            Err(error) => {
                world.tally.violate("a request panicked", || format!("  browser {browser}: {error}\n"));
            }
        }
    }
    shots
}

/// Returns the token that a jar has after these responses.
fn after(token: Option<Box<str>>, responses: &[&SoakAnswer]) -> Option<Box<str>> {
    let mut jar = token;
    for response in responses {
        match &response.cookie {
            Cookie::Set(token) => jar = Some(token.clone()),
            Cookie::Removed => jar = None,
            Cookie::Kept | Cookie::Strange => {}
        }
    }
    jar
}

impl FinishedRequest {
    fn new(shot: &Shot, manner: Manner, token: u32, minted: &[TokenAccount]) -> Self {
        let answer = shot.answer.as_ref();
        let cookie = match answer.map(|answer| &answer.cookie) {
            Some(Cookie::Set(_)) if minted.is_empty() => "a strange cookie",
            Some(Cookie::Set(_)) => "a new cookie",
            Some(Cookie::Removed) => "the cookie's removal",
            Some(Cookie::Strange) => "a strange cookie",
            Some(Cookie::Kept) | None => "no cookie",
        };
        let status = answer.map_or(0, |answer| answer.status);
        let (ask, times, end) = (shot.ask, [shot.sent, shot.done], RequestEnd::of(shot));
        Self { ask, manner, token, times, status, end, cookie }
    }

    fn line(&self, began: Instant) -> String {
        let [sent, done] = self.times.map(|time| time.saturating_duration_since(began).as_secs_f64());
        let seen = match &self.end {
            RequestEnd::Answered(Some(seen)) => {
                let low = |value: u64| value & u64::from(u32::MAX);
                format!(
                    "saw clicks {} count {} note {} draft {} user {} role {}",
                    seen.clicks,
                    seen.count,
                    low(seen.left),
                    low(seen.draft),
                    low(seen.user),
                    low(seen.role),
                )
            }
            RequestEnd::Answered(None) => "saw nothing".to_owned(),
            other => format!("{other:?}"),
        };
        format!(
            "{sent:.6}..{done:.6} {:?} token {} {} {}{} -> {} {seen}, {}",
            self.manner,
            self.token,
            self.ask.kind.name(),
            self.ask.value & u64::from(u32::MAX),
            if self.ask.fails { " failing" } else { "" },
            self.status,
            self.cookie,
        )
    }
}
