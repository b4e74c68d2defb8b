use sessions::Session;

#[derive(Session)]
struct Visit {
    plan: Plan,
}

fn main() {}
