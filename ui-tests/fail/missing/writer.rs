use sessions::{Session, SessionWriter};

#[derive(Session)]
struct Visit {
    n: u32,
}

async fn handler(_session: SessionWriter<Visit>) {}

fn main() {}
