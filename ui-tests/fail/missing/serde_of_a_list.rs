use sessions::Session;

#[derive(Clone, Default)]
struct Plan;

#[derive(Session)]
struct Visit {
    #[session(merge = "last")]
    plans: Vec<Plan>,
}

fn main() {}
