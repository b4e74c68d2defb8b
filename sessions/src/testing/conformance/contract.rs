//! The contract of a store's operations.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::environment::{TestEnvironment, at_once};
use crate::{
    delta::{Add, Delta, Op},
    random,
    store::{Commit, CommitId, CommitOutcome, CreateOutcome, CredentialsChange, DynStore, Loaded, NewRecord},
    value::{Credentials, FieldName, RecordId, Timeouts},
};

/// The first of two creates with one id stays; the second changes nothing.
pub async fn create_with_a_known_id_changes_nothing(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("a", json("1"))]).await;
    let before = direct.load(id, &["a", "b"]).await.expect("the record");
    let other = new_record(&[("a", json("2")), ("b", json("3"))]);
    assert_eq!(direct.raw.create(id, other).await.expect("an answer"), CreateOutcome::IdTaken);
    let after = direct.load(id, &["a", "b"]).await.expect("the record");
    assert_eq!((after.credentials, after.fields), (before.credentials, before.fields));
}

/// A repeated create that meets its own record succeeds, and does not undo later changes.
pub async fn a_repeated_create_is_the_first_one(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let (id, new) = (random_id(), new_record(&[("a", json("1"))]));
    let CreateOutcome::Created(created) = direct.raw.create(id, new.clone()).await.expect("an answer") else {
        panic!("a new id is free");
    };
    direct.apply(id, &[("a", Op::Put(json("2")))]).await;
    env.clock.advance(Duration::from_secs(5));
    assert_eq!(direct.raw.create(id, new).await.expect("an answer"), CreateOutcome::Created(created));
    let loaded = direct.load(id, &["a"]).await.expect("the record");
    assert_eq!((loaded.fields.get("a"), loaded.created), (Some(&json("2")), created));
}

/// Of many creates of one id at once, one succeeds.
pub async fn of_many_creates_of_one_id_one_wins(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for _ in 0..20 {
        let id = random_id();
        let creates = (0..16).map(|index: u8| {
            let (raw, new) = (Arc::clone(&direct.raw), new_record(&[("who", json(&index.to_string()))]));
            async move { matches!(raw.create(id, new).await, Ok(CreateOutcome::Created(_))) }
        });
        let won: Vec<_> = at_once(creates).await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).expect("a winner").to_string();
        let loaded = direct.load(id, &["who"]).await.expect("the record");
        assert_eq!(loaded.fields.get("who"), Some(&json(&winner)));
    }
}

/// A new record has epoch zero, its credentials and its fields, and is created now.
pub async fn a_new_record_is_as_it_was_asked_for(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let (id, new) = (random_id(), new_record(&[("a", json("1")), ("b", json("\"x\""))]));
    let created = direct.raw.create(id, new.clone()).await.expect("an answer");
    let loaded = direct.load(id, &["a", "b", "c"]).await.expect("the record");
    assert_eq!(CreateOutcome::Created(loaded.created), created);
    assert_eq!((loaded.credentials, loaded.epoch, loaded.touched), (new.credentials, 0, loaded.created));
    assert!(loaded.now >= loaded.created);
    assert_eq!(loaded.fields.get("a"), Some(&json("1")));
    assert_eq!(loaded.fields.get("b"), Some(&json("\"x\"")));
    assert!(!loaded.fields.contains("c"));
    let empty = direct.create(&[]).await;
    assert!(direct.load(empty, &["a"]).await.expect("the record").fields.is_empty());
}

/// A load returns the fields that it asks for, and `complete` is true only if these are all.
pub async fn a_load_returns_at_least_the_named_fields(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("a", json("1")), ("b", json("2")), ("c", json("3"))]).await;
    let asked: [&[&'static str]; 5] = [&[], &["a"], &["c", "a"], &["a", "a"], &["a", "b", "c", "d"]];
    for names in asked {
        let loaded = direct.load(id, names).await.expect("the record");
        for (name, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            if names.contains(&name) || loaded.complete {
                assert_eq!(loaded.fields.get(name), Some(&json(value)), "{names:?}");
            }
        }
        assert!(!loaded.fields.contains("d"));
    }
}

/// A load without names reads no field, even if another load or a commit has just read or written them.
pub async fn a_look_without_names_reads_no_fields(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let large = format!("\"{}\"", "x".repeat(100_000));
    let id = direct.create(&[("a", json("1")), ("b", json(&large))]).await;
    let none_are_read = async || {
        let loaded = direct.load(id, &[]).await.expect("the record");
        assert_eq!((loaded.fields.len(), loaded.complete), (0, false));
        loaded
    };
    let looked = none_are_read().await;
    let loaded = direct.load(id, &["a", "b"]).await.expect("the record");
    assert_eq!((loaded.fields.len(), loaded.epoch), (2, looked.epoch));
    assert_eq!(
        (loaded.credentials, loaded.created, loaded.touched),
        (looked.credentials, looked.created, looked.touched)
    );
    none_are_read().await;
    direct.apply(id, &[("a", Op::Put(json("2")))]).await;
    none_are_read().await;
    let looks = (0..20).map(|index: usize| {
        let raw = Arc::clone(&direct.raw);
        async move {
            let names: &[FieldName] = if index.is_multiple_of(2) { &[] } else { &["a".into()] };
            let loaded = raw.load(id, names).await.expect("an answer").expect("the record");
            (names.len(), loaded.fields.contains("a"), loaded.fields.is_empty())
        }
    });
    for (names, has_field, is_empty) in at_once(looks).await {
        assert_eq!((has_field, is_empty), if names == 0 { (false, true) } else { (true, false) });
    }
}

/// An id that was never created does not exist for any operation, and no operation creates it.
pub async fn an_unknown_id_stays_unknown(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = random_id();
    assert!(direct.load(id, &["a"]).await.is_none());
    for commit in [
        Commit::new(0, TIMEOUTS),
        Commit::new(0, TIMEOUTS).with_touch(true),
        Commit::new(0, TIMEOUTS).with_credentials_change(CredentialsChange::rotation(random_credentials())),
        Commit::new(0, TIMEOUTS).with_delta(delta(&[("a", Op::Put(json("1")))])).with_id(random_commit()),
    ] {
        let answer = direct.raw.commit(id, commit).await.expect("an answer");
        assert!(matches!(answer, CommitOutcome::NotFound), "{answer:?}");
    }
    direct.raw.destroy(id).await.expect("idempotent");
    assert!(direct.load(id, &["a"]).await.is_none());
}

/// A second destroy changes nothing, and a destroyed record never comes back.
pub async fn destroy_is_idempotent_and_final(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let (id, other) = (direct.create(&[("a", json("1"))]).await, direct.create(&[("a", json("2"))]).await);
    for _ in 0..2 {
        direct.raw.destroy(id).await.expect("destroyed");
        assert!(direct.load(id, &["a"]).await.is_none());
        let put = Commit::new(0, TIMEOUTS).with_delta(delta(&[("a", Op::Put(json("3")))])).with_touch(true);
        assert!(matches!(direct.raw.commit(id, put).await, Ok(CommitOutcome::NotFound)));
    }
    assert!(direct.load(other, &["a"]).await.is_some(), "others live");
}

/// A commit of another epoch than the record's writes nothing, be it older or newer.
pub async fn a_commit_of_another_epoch_writes_nothing(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("a", json("1"))]).await;
    let rotated =
        Commit::new(0, TIMEOUTS).with_credentials_change(CredentialsChange::rotation(random_credentials()));
    assert!(matches!(direct.raw.commit(id, rotated).await, Ok(CommitOutcome::Applied(_))));
    let before = direct.load(id, &["a", "b"]).await.expect("the record");
    assert_eq!(before.epoch, 1);
    env.clock.advance(Duration::from_secs(90));
    for epoch in [0, 2, u64::from(u32::MAX)] {
        let commit = Commit::new(epoch, TIMEOUTS)
            .with_delta(delta(&[("a", Op::Put(json("2"))), ("b", Op::Put(json("3")))]))
            .with_touch(true)
            .with_credentials_change(CredentialsChange::rotation(random_credentials()))
            .with_id(random_commit());
        let answer = direct.raw.commit(id, commit).await.expect("an answer");
        assert!(matches!(answer, CommitOutcome::StaleEpoch), "{answer:?}");
    }
    let after = direct.load(id, &["a", "b"]).await.expect("the record");
    assert_eq!((after.epoch, after.touched, after.credentials), (1, before.touched, before.credentials));
    assert_eq!(after.fields.get("a"), Some(&json("1")));
    assert!(!after.fields.contains("b"));
}

/// A rotation changes credentials and epoch, and otherwise only what its commit changes.
pub async fn a_rotation_changes_secret_and_epoch(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("a", json("1")), ("b", json("2"))]).await;
    let before = direct.load(id, &["a", "b"]).await.expect("the record");
    let credentials = random_credentials();
    let commit = Commit::new(0, TIMEOUTS)
        .with_credentials_change(CredentialsChange::rotation(credentials.clone()))
        .with_delta(delta(&[("a", Op::Put(json("9")))]));
    assert!(matches!(direct.raw.commit(id, commit).await, Ok(CommitOutcome::Applied(_))));
    let after = direct.load(id, &["a", "b"]).await.expect("the record");
    assert_eq!((after.credentials, after.epoch, after.created), (credentials, 1, before.created));
    assert_eq!((after.fields.get("a"), after.fields.get("b")), (Some(&json("9")), Some(&json("2"))));
}

/// New credentials replace only those that they name. A renewal keeps the epoch; with a login the record counts as
/// created now.
pub async fn credentials_replace_the_ones_they_name(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let (id, [first, second]) =
        (direct.create(&[("a", json("1"))]).await, [random_credentials(), random_credentials()]);
    let created = direct.load(id, &[]).await.expect("the record");
    env.clock.advance(Duration::from_secs(5));
    let put = |credentials_change| {
        let delta = delta(&[("a", Op::Put(json("2")))]);
        Commit::new(0, TIMEOUTS).with_delta(delta).with_credentials_change(credentials_change)
    };
    for credentials_change in [
        CredentialsChange::renewal(first.clone(), second.clone()),
        CredentialsChange::rotation(second.clone()).in_place_of(first.clone()),
    ] {
        let commit = put(credentials_change);
        let answer = direct.raw.commit(id, commit).await.expect("an answer");
        assert!(matches!(answer, CommitOutcome::CredentialsChanged), "{answer:?}");
        let after = direct.load(id, &["a"]).await.expect("the record");
        assert_eq!(
            (after.credentials, after.fields.get("a")),
            (created.credentials.clone(), Some(&json("1")))
        );
    }
    let renewal = put(CredentialsChange::renewal(created.credentials.clone(), first.clone()));
    assert!(matches!(direct.raw.commit(id, renewal).await, Ok(CommitOutcome::Applied(_))));
    let renewed = direct.load(id, &["a"]).await.expect("the record");
    assert_eq!((renewed.credentials, renewed.epoch, renewed.created), (first.clone(), 0, created.created));
    assert_eq!((renewed.touched, renewed.fields.get("a")), (created.touched, Some(&json("2"))));
    let login = put(CredentialsChange::login(second.clone()).in_place_of(first));
    assert!(matches!(direct.raw.commit(id, login).await, Ok(CommitOutcome::Applied(_))));
    let after = direct.load(id, &[]).await.expect("the record");
    assert_eq!((after.credentials, after.epoch), (second, 1));
    assert!(after.created <= after.touched && after.touched <= after.now);
    if env.can_move_time() {
        assert_eq!((after.created, after.touched), (after.now, after.now));
        assert_eq!(after.now.saturating_since(created.created), Duration::from_secs(5));
    }
}

/// Credentials of any bytes are stored as they are.
pub async fn credentials_come_back_as_they_were(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    for length in [32, 33, 100, 1000] {
        let mut bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        // The byte that tells if there are rights.
        bytes.iter_mut().skip(32).take(1).for_each(|flags| *flags = 0x80);
        let (id, credentials) = (random_id(), Credentials::from_bytes(bytes));
        let new = NewRecord::new(credentials.clone(), TIMEOUTS);
        assert!(matches!(direct.raw.create(id, new).await, Ok(CreateOutcome::Created(_))));
        assert_eq!(direct.load(id, &[]).await.expect("the record").credentials, credentials, "{length}");
        let next = Credentials::from_bytes(
            credentials.as_bytes().iter().rev().copied().skip(length - 32).collect::<Vec<_>>(),
        );
        let commit = Commit::new(0, TIMEOUTS)
            .with_credentials_change(CredentialsChange::rotation(next.clone()).in_place_of(credentials));
        assert!(matches!(direct.raw.commit(id, commit).await, Ok(CommitOutcome::Applied(_))));
        assert_eq!(direct.load(id, &[]).await.expect("the record").credentials, next, "{length}");
    }
}

/// A first visit lasts until the record is touched: then it lives as long as others.
pub async fn a_first_visit_is_one_until_it_is_touched(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let direct = Direct::new(&env).await;
    let timeouts = TIMEOUTS.with_first_visit(Duration::from_mins(1));
    let [gone, back] = [random_id(), random_id()];
    for id in [gone, back] {
        let new = NewRecord::new(random_credentials(), timeouts).with_first_visit(true);
        assert!(matches!(direct.raw.create(id, new).await, Ok(CreateOutcome::Created(_))));
        let loaded = direct.load(id, &[]).await.expect("the record");
        assert!(loaded.touched < loaded.created);
    }
    env.clock.advance(Duration::from_secs(30));
    let touch = Commit::new(0, timeouts).with_touch(true);
    assert!(matches!(direct.raw.commit(back, touch).await, Ok(CommitOutcome::Applied(_))));
    let loaded = direct.load(back, &[]).await.expect("the record");
    assert_eq!(loaded.touched, loaded.now);
    env.clock.advance(Duration::from_mins(2));
    direct.raw.purge(timeouts, 100).await.expect("a number");
    let loaded = direct.load(back, &[]).await.expect("what was used is spared");
    assert!(timeouts.is_alive(loaded.created, loaded.touched, loaded.now));
    let dead = |loaded: Loaded| !timeouts.is_alive(loaded.created, loaded.touched, loaded.now);
    assert!(direct.load(gone, &[]).await.is_none_or(dead));
}

/// A commit with an id is applied once, however often it is sent, even if it rotates.
pub async fn a_commit_with_an_id_applies_once(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("n", json("10"))]).await;
    let add = Commit::new(0, TIMEOUTS)
        .with_delta(delta(&[("n", direct.add(5))]))
        .with_id(random_commit())
        .returning(vec![FieldName::from_static("n")]);
    for _ in 0..3 {
        let Ok(CommitOutcome::Applied(values)) = direct.raw.commit(id, add.clone()).await else {
            panic!("applied")
        };
        assert_eq!(values, [Some(json("15"))]);
    }
    let rotation = Commit::new(0, TIMEOUTS)
        .with_delta(delta(&[("n", direct.add(1))]))
        .with_credentials_change(CredentialsChange::rotation(random_credentials()))
        .with_id(random_commit());
    for _ in 0..3 {
        let answer = direct.raw.commit(id, rotation.clone()).await.expect("an answer");
        assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
    }
    let loaded = direct.load(id, &["n"]).await.expect("the record");
    assert_eq!((loaded.epoch, loaded.fields.get("n")), (1, Some(&json("16"))));
}

/// A record remembers the last eight ids of its own commits.
pub async fn eight_commit_ids_are_remembered(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let (id, other) = (direct.create(&[]).await, direct.create(&[]).await);
    let commits: Vec<_> = (0..8)
        .map(|_| Commit::new(0, TIMEOUTS).with_delta(delta(&[("n", direct.add(1))])).with_id(random_commit()))
        .collect();
    for _ in 0..2 {
        for commit in &commits {
            assert!(matches!(direct.raw.commit(id, commit.clone()).await, Ok(CommitOutcome::Applied(_))));
        }
    }
    assert_eq!(direct.load(id, &["n"]).await.expect("the record").fields.get("n"), Some(&json("8")));
    assert!(matches!(direct.raw.commit(other, commits[0].clone()).await, Ok(CommitOutcome::Applied(_))));
    assert_eq!(direct.load(other, &["n"]).await.expect("the record").fields.get("n"), Some(&json("1")));
}

/// A touch notes the use; a commit without one does not.
pub async fn only_a_touch_notes_the_use(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let direct = Direct::new(&env).await;
    let id = direct.create(&[]).await;
    let created = direct.load(id, &[]).await.expect("the record").created;
    env.clock.advance(Duration::from_mins(1));
    direct.apply(id, &[("a", Op::Put(json("1")))]).await;
    let loaded = direct.load(id, &[]).await.expect("the record");
    assert_eq!((loaded.touched, loaded.now.saturating_since(created)), (created, Duration::from_mins(1)));
    let touch = Commit::new(0, TIMEOUTS).with_touch(true);
    assert!(matches!(direct.raw.commit(id, touch.clone()).await, Ok(CommitOutcome::Applied(_))));
    let touched = direct.load(id, &[]).await.expect("the record");
    assert_eq!(touched.touched.saturating_since(created), Duration::from_mins(1));
    env.clock.set(created);
    assert!(matches!(direct.raw.commit(id, touch).await, Ok(CommitOutcome::Applied(_))));
    let loaded = direct.load(id, &[]).await.expect("the record");
    assert_eq!((loaded.touched, loaded.created), (touched.touched, created), "time does not go back");
}

/// A dead record takes no commit.
pub async fn a_dead_record_takes_no_commit(env: TestEnvironment) {
    let direct = Direct::new(&env).await;
    let id = direct.create(&[("a", json("1"))]).await;
    let put = Commit::new(0, DEAD).with_delta(delta(&[("a", Op::Put(json("2")))])).with_touch(true);
    assert!(matches!(direct.raw.commit(id, put).await, Ok(CommitOutcome::NotFound)));
    if let Some(loaded) = direct.load(id, &["a"]).await {
        assert_eq!(loaded.fields.get("a"), Some(&json("1")));
    }
}

/// A purge deletes dead records only, and no more than its limit.
pub async fn purge_takes_the_dead_and_keeps_to_its_limit(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let direct = Direct::new(&env).await;
    let short = Timeouts::new(Duration::from_hours(1), Duration::from_hours(1));
    let mut ids = Vec::new();
    for _ in 0..30 {
        ids.push(direct.create_for(short, &[("a", json("1"))]).await);
    }
    let anothers = direct.create(&[("a", json("1"))]).await;
    assert_eq!(direct.raw.purge(TIMEOUTS, 100).await.expect("a number"), 0);
    for id in &ids {
        assert!(direct.load(*id, &["a"]).await.is_some());
    }
    if direct.raw.expires_by_itself() {
        println!("skipped the rest: the store's records end by themselves (`expires_by_itself`)");
        return;
    }
    env.clock.advance(Duration::from_hours(2));
    let mut left = 30;
    for (limit, expected) in [(0, 0), (7, 7), (1, 1), (100, 22), (100, 0)] {
        assert_eq!(direct.raw.purge(DEAD, limit).await.expect("a number"), expected);
        left -= expected;
        let mut alive = 0;
        for id in &ids {
            alive += usize::from(direct.load(*id, &[]).await.is_some());
        }
        assert_eq!(alive, left);
    }
    assert!(direct.load(anothers, &[]).await.is_some(), "it lives longer for those who made it");
}

/// A purge by one instance spares a record that another has just touched.
pub async fn purge_spares_what_was_touched(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (direct, other) = (Direct::new(&env).await, Direct::new(&env).await);
    let timeouts = Timeouts::new(Duration::from_mins(40), Duration::from_hours(30));
    let (used, unused) = (direct.create_for(timeouts, &[]).await, direct.create_for(timeouts, &[]).await);
    env.clock.advance(Duration::from_secs(2001));
    let touch = Commit::new(0, timeouts).with_touch(true);
    assert!(matches!(direct.raw.commit(used, touch).await, Ok(CommitOutcome::Applied(_))));
    env.clock.advance(Duration::from_secs(599));
    other.raw.purge(timeouts, 100).await.expect("a number");
    assert!(direct.load(used, &[]).await.is_some());
    assert!(direct.load(unused, &[]).await.is_none() || direct.raw.expires_by_itself());
}

/// A purge goes by the times of the kind of session that a record's credentials tell.
pub async fn purge_tells_the_kinds_of_sessions_apart(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let direct = Direct::new(&env).await;
    let hour = Duration::from_hours(1);
    for (idle, absolute) in [(true, false), (false, true)] {
        let time = |hours: u32, counts| if counts { hour * hours } else { 100 * hour };
        let times = |hours| (time(hours, idle), time(hours, absolute));
        let timeouts = Timeouts::new(times(2).0, times(2).1)
            .with_visitors(times(4).0, times(4).1)
            .with_remembered(times(6).0, times(6).1);
        let mut ids = Vec::new();
        // No right, with a lasting cookie and without; a right, with a lasting cookie, without, remembered.
        for flags in [&[][..], &[0x20], &[0x80], &[0xa0], &[0xc0]] {
            let credentials = [random_credentials().as_bytes(), flags].concat();
            let credentials =
                if flags.is_empty() { credentials } else { [&credentials[..], &[9, 0, 1, 7]].concat() };
            // The noted deadline is over soon, so that only the timeouts of the purge count.
            let short = Timeouts::new(Duration::from_mins(1), Duration::from_mins(1));
            let (id, new) = (random_id(), NewRecord::new(Credentials::from_bytes(credentials), short));
            assert!(matches!(direct.raw.create(id, new).await, Ok(CreateOutcome::Created(_))));
            ids.push(id);
        }
        for (hours, gone) in [(1, 0), (3, 2), (5, 4), (7, 5)] {
            env.clock.advance(if hours == 1 { hour } else { 2 * hour });
            if direct.raw.expires_by_itself() {
                println!("skipped the rest: the store's records end by themselves (`expires_by_itself`)");
                return;
            }
            direct.raw.purge(timeouts, 100).await.expect("a number");
            let mut left = Vec::new();
            for id in &ids {
                left.push(direct.load(*id, &[]).await.is_some());
            }
            // Users first, then visitors, then the remembered.
            let expected = match gone {
                0 => [true; 5],
                2 => [true, true, false, false, true],
                4 => [false, false, false, false, true],
                _ => [false; 5],
            };
            assert_eq!(left, expected, "after {hours} hours");
        }
    }
}

/// A commit that brings other times is judged by the old ones, and the record then lives by the new ones.
pub async fn credentials_with_other_times_is_judged_by_the_old_ones(env: TestEnvironment) {
    if !env.can_move_time() {
        return;
    }
    let (direct, other) = (Direct::new(&env).await, Direct::new(&env).await);
    let hours = |hours| Timeouts::new(Duration::from_hours(hours), Duration::from_hours(hours));
    for from in [None, Some(())] {
        let (alive, dead) = (direct.create_for(hours(1), &[]).await, direct.create_for(hours(1), &[]).await);
        let rotate = async |id| {
            let credentials_change =
                CredentialsChange::rotation(random_credentials()).with_timeouts(hours(5));
            let loaded = direct.load(id, &[]).await.expect("the record");
            let credentials_change = from.map_or_else(
                || credentials_change.clone(),
                |()| credentials_change.clone().in_place_of(loaded.credentials),
            );
            let sealed = credentials_change.credentials().clone();
            let commit = Commit::new(0, hours(1)).with_delta(delta(&[("n", Op::Put(json("1")))]));
            (
                direct
                    .raw
                    .commit(id, commit.with_credentials_change(credentials_change))
                    .await
                    .expect("an answer"),
                sealed,
            )
        };
        env.clock.advance(Duration::from_mins(59));
        let (answer, credentials) = rotate(alive).await;
        assert!(matches!(answer, CommitOutcome::Applied(_)), "{answer:?}");
        let loaded = direct.load(alive, &["n"]).await.expect("the record");
        assert_eq!(
            (loaded.epoch, &loaded.credentials, loaded.fields.get("n")),
            (1, &credentials, Some(&json("1")))
        );
        assert_eq!(loaded.touched, loaded.now, "it counts as a use");
        env.clock.advance(Duration::from_mins(1));
        if direct.load(dead, &[]).await.is_some() {
            let (answer, _) = rotate(dead).await;
            assert!(matches!(answer, CommitOutcome::NotFound), "{answer:?}");
        }
        env.clock.advance(Duration::from_hours(2));
        other.raw.purge(hours(1), 100).await.expect("a number");
        assert!(
            direct.load(alive, &[]).await.is_some(),
            "the layer that gave it a longer life may still use it"
        );
        assert!(matches!(
            direct.raw.commit(alive, Commit::new(1, hours(1)).with_touch(true)).await,
            Ok(CommitOutcome::NotFound)
        ));
        assert!(matches!(
            direct.raw.commit(alive, Commit::new(1, hours(5)).with_touch(true)).await,
            Ok(CommitOutcome::Applied(_))
        ));
    }
}

/// A write of one instance is read by the other at once.
pub async fn instances_share_one_backend(env: TestEnvironment) {
    let (one, other) = (Direct::new(&env).await, Direct::new(&env).await);
    let id = one.create(&[("n", json("1"))]).await;
    for value in 2..20 {
        let (writer, reader) = if value % 2 == 0 { (&other, &one) } else { (&one, &other) };
        writer.apply(id, &[("n", Op::Put(json(&value.to_string())))]).await;
        let loaded = reader.load(id, &["n"]).await.expect("the record");
        assert_eq!(loaded.fields.get("n"), Some(&json(&value.to_string())));
    }
    other.raw.destroy(id).await.expect("destroyed");
    assert!(one.load(id, &["n"]).await.is_none());
}

/// Times that are long enough for these scenarios.
pub(super) const TIMEOUTS: Timeouts = Timeouts::new(Duration::from_hours(24), Duration::from_hours(240));

/// Times under which every record is dead.
const DEAD: Timeouts = Timeouts::new(Duration::ZERO, Duration::ZERO);

/// A store that is called without a layer.
pub(super) struct Direct {
    pub(super) raw: Arc<dyn DynStore>,
}

impl Direct {
    pub(super) async fn new(env: &TestEnvironment) -> Self {
        Self { raw: env.store().await }
    }

    pub(super) async fn create(&self, fields: &[(&'static str, Bytes)]) -> RecordId {
        self.create_for(TIMEOUTS, fields).await
    }

    /// Creates a record for a layer with these timeouts.
    async fn create_for(&self, timeouts: Timeouts, fields: &[(&'static str, Bytes)]) -> RecordId {
        let id = random_id();
        let new = NewRecord { timeouts, ..new_record(fields) };
        let created = self.raw.create(id, new).await.expect("an answer");
        assert!(matches!(created, CreateOutcome::Created(_)), "{created:?}");
        id
    }

    pub(super) async fn load(&self, id: RecordId, names: &[&'static str]) -> Option<Loaded> {
        let names: Vec<_> = names.iter().map(|name| FieldName::from_static(name)).collect();
        self.raw.load(id, &names).await.expect("an answer")
    }

    /// Commits these changes to a record of epoch zero and returns the values after it, in their
    /// order.
    pub(super) async fn apply(&self, id: RecordId, ops: &[(&'static str, Op)]) -> Vec<Option<Bytes>> {
        let names = ops.iter().map(|(name, _)| FieldName::from_static(name)).collect();
        let commit = Commit::new(0, TIMEOUTS).with_delta(delta(ops)).returning(names);
        match self.raw.commit(id, commit).await.expect("an answer") {
            CommitOutcome::Applied(values) => values,
            other => panic!("{ops:?}: {other:?}"),
        }
    }

    /// Makes an addition without bounds that counts from zero.
    #[allow(clippy::unused_self)]
    pub(super) const fn add(&self, by: i64) -> Op {
        Op::Add(Add { by, start: 0, min: i64::MIN, max: i64::MAX })
    }
}

pub(super) fn json(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Makes a delta of these changes, compared with nothing that was loaded.
pub(super) fn delta(ops: &[(&'static str, Op)]) -> Delta {
    let mut delta = Delta::new();
    for (name, op) in ops {
        delta.push(FieldName::from_static(name), op.clone(), None).expect("one operation a field");
    }
    delta
}

pub(super) fn new_record(fields: &[(&'static str, Bytes)]) -> NewRecord {
    let fields = fields.iter().map(|(name, value)| (FieldName::from_static(name), value.clone())).collect();
    NewRecord::new(random_credentials(), TIMEOUTS).with_fields(fields)
}

pub(super) fn random_id() -> RecordId {
    RecordId::from_bytes(random::bytes().expect("random bytes"))
}

pub(super) fn random_credentials() -> Credentials {
    let hash: [u8; 32] = random::bytes().expect("random bytes");
    Credentials::from_bytes(hash.to_vec())
}

pub(super) fn random_commit() -> CommitId {
    CommitId::from_bytes(random::bytes().expect("random bytes"))
}
