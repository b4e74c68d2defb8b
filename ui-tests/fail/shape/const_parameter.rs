use sessions::Session;

#[derive(Session)]
struct Visit<const N: usize> {
    ids: [u64; N],
}

fn main() {}
