//! Any bytes as a record: a record that is read is written as the same bytes, and commits to it keep it readable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sessions::{
    Timeouts, Timestamp,
    store::{Commit, CommitId, CommitOutcome, Credentials, CredentialsChange, Record},
};
use sessions_fuzz::NOW;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut record) = Record::from_bytes(bytes.to_vec()) else { return };
    assert_eq!(record.to_bytes(), bytes, "a record has one form");
    let timeouts = Timeouts::default();
    for now in [NOW, record.touched, Timestamp::from_millis(i64::MAX)] {
        let _ = record.is_disposable(&timeouts, now);
        let (epoch, known) = (record.epoch, record.commits.len());
        let next = Credentials::from_bytes(vec![7; 32]);
        let commit = Commit::new(epoch, timeouts)
            .with_touch(true)
            .with_id(CommitId::from_bytes(now.as_millis().to_be_bytes()))
            .with_credentials_change(
                CredentialsChange::login(next.clone()).in_place_of(record.credentials.clone()),
            );
        if let CommitOutcome::Applied(_) = record.commit(&commit, now) {
            assert!(record.commits.len() <= known.max(8), "the last ids only");
        }
        assert_eq!(Record::from_bytes(record.to_bytes()).expect("a record"), record);
    }
});
