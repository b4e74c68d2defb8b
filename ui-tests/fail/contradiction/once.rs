use sessions::Session;

#[derive(Session)]
struct Login {
    #[session(once)]
    code: String,
    #[session(once, merge = "cas")]
    state: Option<String>,
    #[flash]
    #[session(once)]
    both: Option<u32>,
}

fn main() {}
