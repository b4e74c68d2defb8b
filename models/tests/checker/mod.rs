//! How a model's schedules are explored: all of them up to a bound, or many at random.

// Each file of models uses a part of it.
#![allow(dead_code)]

use std::{
    env,
    sync::{Mutex, PoisonError},
    thread,
};

use shuttle::{
    Config, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId},
};

/// How many random schedules a model gets, unless `MODELS_ITERATIONS` says otherwise.
const ITERATIONS: usize = 500;

/// The library has a few statics, by which two models at once would disturb each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Whether there is time for all that a model can be about.
pub fn is_long() -> bool {
    env::var_os("MODELS_ITERATIONS").is_some()
}

/// Runs a model in every schedule in which no more than so many steps are taken away from a task that could go
/// on. Where a task waits or yields, any other may come next, and that is no interruption.
pub fn every(name: &str, interruptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let explored = run(name, Bounded::new(interruptions), model);
    println!("{name}: every schedule with at most {interruptions} interruptions, {explored}");
}

/// Runs a model in every schedule there is.
pub fn all(name: &str, model: impl Fn() + Send + Sync + 'static) {
    let explored = run(name, Bounded::new(usize::MAX), model);
    println!("{name}: every schedule, {explored}");
}

/// Runs a model in random schedules: half of them with few interruptions in random places, which most mistakes
/// need no more of (PCT), half with many.
pub fn many(name: &str, model: impl Fn() + Clone + Send + Sync + 'static) {
    let number = |name| Some(env::var(name).ok()?.parse::<u64>().expect("a number"));
    let iterations =
        number("MODELS_ITERATIONS").map_or(ITERATIONS, |given| given.try_into().expect("a size"));
    let seed = number("MODELS_SEED").unwrap_or_else(|| getrandom::u64().expect("random bytes"));
    println!("{name}: {iterations} random schedules, MODELS_SEED={seed}");
    run(name, PctScheduler::new_from_seed(seed, 3, iterations.div_ceil(2)), model.clone());
    run(name, RandomScheduler::new_from_seed(seed, iterations / 2), model);
}

/// Runs a model, or only the schedule that `MODELS_REPLAY` names.
fn run(name: &str, scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) -> usize {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    // A task that goes round for ever is a failure.
    config.max_steps = MaxSteps::FailAfter(20_000);
    // The models know sequential consistency only.
    config.silence_warnings = true;
    let Ok(replay) = env::var("MODELS_REPLAY") else {
        let _hint = Hint(name);
        return Runner::new(scheduler, config).run(model);
    };
    match replay.split_once('=') {
        Some((of, schedule)) if of == name => {
            Runner::new(ReplayScheduler::new_from_encoded(schedule), config).run(model)
        }
        _ => 0,
    }
}

/// Says how to see a failure again.
struct Hint<'a>(&'a str);

impl Drop for Hint<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let name = self.0;
            eprintln!("failed: {name}; again: MODELS_REPLAY='{name}=<the schedule above>' .ci/models");
        }
    }
}

/// A depth-first search through the schedules with a bounded number of interruptions.
struct Bounded {
    most: usize,
    /// The choices of the present execution, those with one way to go left out.
    choices: Vec<Choice>,
    depth: usize,
    interruptions: usize,
    is_begun: bool,
}

struct Choice {
    options: Vec<TaskId>,
    taken: usize,
}

impl Bounded {
    fn new(most: usize) -> Self {
        Self { most, choices: Vec::new(), depth: 0, interruptions: 0, is_begun: false }
    }
}

impl Scheduler for Bounded {
    fn new_execution(&mut self) -> Option<Schedule> {
        if std::mem::replace(&mut self.is_begun, true) {
            while self.choices.last().is_some_and(|last| last.taken + 1 == last.options.len()) {
                self.choices.pop();
            }
            self.choices.last_mut()?.taken += 1;
        }
        (self.depth, self.interruptions) = (0, 0);
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let mut options: Vec<_> = runnable.iter().map(|task| task.id()).collect();
        let goes_on = current.filter(|current| !is_yielding && options.contains(current));
        if let Some(current) = goes_on {
            if self.interruptions == self.most {
                return Some(current);
            }
            // First, so that the search begins with what is simple.
            options.retain(|option| *option != current);
            options.insert(0, current);
        }
        if let [only] = options[..] {
            return Some(only);
        }
        if self.depth == self.choices.len() {
            self.choices.push(Choice { options, taken: 0 });
        } else {
            assert_eq!(
                self.choices[self.depth].options, options,
                "the model depends on more than its schedule"
            );
        }
        let Choice { options, taken } = &self.choices[self.depth];
        let next = options[*taken];
        self.depth += 1;
        if goes_on.is_some_and(|current| current != next) {
            self.interruptions += 1;
        }
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("a model that is explored asks for no random numbers")
    }
}
