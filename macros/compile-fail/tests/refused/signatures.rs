use abide::prelude::*;

#[derive(Entity, Default, Serialize, Deserialize)]
struct Account {
    cents: i64,
}

#[operations]
impl Account {
    pub fn generic<T: ToString>(&mut self, value: T) {
        let _ = value.to_string();
    }

    pub fn lifetimes<'a>(&'a self, text: &'a str) -> &'a str {
        text
    }

    pub fn constrained(&self)
    where
        Self: Clone,
    {
    }

    pub fn implied(&self, value: impl ToString) -> impl ToString {
        value.to_string()
    }

    pub fn pattern(&mut self, (a, b): (i64, i64)) {
        self.cents = a + b;
    }

    pub fn unnamed(&mut self, _: i64) {}

    pub fn consume(self) -> i64 {
        self.cents
    }

    pub fn boxed(self: Box<Self>) {}

    pub const fn constant(&self) -> i64 {
        self.cents
    }

    pub unsafe fn not_safe(&self) {}

    pub extern "C" fn foreign(&self) {}

    pub async fn waiting_read(&self) {}

    pub fn endless(&mut self) -> ! {
        loop {}
    }

    pub fn borrowed(&self) -> &i64 {
        &self.cents
    }

    pub fn inner_borrow(&self, text: Option<&str>, all: &[&str], callback: fn(i64)) {
        let _ = (text, all, callback);
    }

    pub fn objects(&self, all: &dyn ToString) {
        let _ = all;
    }

    pub fn many(&self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8) {
        let _ = (a, b, c, d, e, f, g, h, i, j, k, l, m);
    }
}

fn main() {}
