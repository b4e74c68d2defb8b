use sessions::SessionLayer;

fn main() {
    let _ = SessionLayer::new("sessions.db");
}
