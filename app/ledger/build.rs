//! Embeds the migrations anew when one changes: `sqlx::migrate!` cannot say so itself.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
