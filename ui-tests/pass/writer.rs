//! A writer: the setters of what can be written without being read.
#![deny(warnings)]

use axum::{Router, routing::post};
use sessions::{Session, SessionWriter, TypedSession};

#[derive(Session)]
#[session(writer, namespace = "w")]
pub struct Visit {
    #[session(identity)]
    user: Option<u64>,
    #[session(privilege)]
    is_admin: bool,
    #[session(merge = "add")]
    hits: u32,
    #[session(merge = "max")]
    best: Option<i64>,
    #[session(merge = "first")]
    referrer: Option<String>,
    name: String,
    #[session(merge = "last")]
    tags: Vec<String>,
    #[session(alias = "colour")]
    color: Option<String>,
    #[session(merge = "add", alias = "old_total")]
    total: u32,
    #[session(skip)]
    here: bool,
    #[flash]
    message: Option<String>,
    #[session(accessor = "kind")]
    r#type: u8,
}

async fn write(mut visit: SessionWriter<Visit>) {
    visit.set_hits(1);
    visit.add_hits(2);
    visit.reset_hits();
    visit.set_best(7);
    visit.remove_best();
    visit.set_referrer("here");
    visit.set_name("Ada");
    visit.reset_name();
    visit.set_tags(vec!["a".to_owned()]);
    visit.set_color(String::from("red"));
    visit.remove_color();
    visit.flash_message("saved");
    visit.set_kind(3);
    visit.without_touch();
}

async fn both(mut writer: VisitWriter, visit: TypedSession<Visit>) {
    writer.set_name(visit.name());
}

fn main() {
    fn is_send<T: Send + Sync + std::fmt::Debug>() {}
    is_send::<VisitWriter>();
    let _: Router = Router::new().route("/", post(write)).route("/both", post(both));
}
