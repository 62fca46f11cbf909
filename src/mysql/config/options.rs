//! The connector's options: every row that Debezium's MySQL connector lists, with its names, order, groups and
//! defaults, and the options it reads without listing them.

use engine::config::{ConfigDef, ConfigOption, ConfigType};

mod connection;
mod connector;
mod events;
mod history;
mod unlisted;

const GROUPS: [&[ConfigOption]; 4] = [connection::OPTIONS, connector::OPTIONS, history::OPTIONS, events::OPTIONS];
const COUNT: usize = GROUPS[0].len() + GROUPS[1].len() + GROUPS[2].len() + GROUPS[3].len();
static OPTIONS: [ConfigOption; COUNT] = joined();

/// The connector's options.
pub(crate) static DEF: ConfigDef = ConfigDef { options: &OPTIONS, unlisted: unlisted::OPTIONS };

/// The groups one after another; evaluated by the compiler.
const fn joined() -> [ConfigOption; COUNT] {
    let mut rows = [ConfigOption::new("", ConfigType::String, ""); COUNT];
    let (mut group, mut row, mut at) = (0, 0, 0);
    while group < GROUPS.len() {
        if row < GROUPS[group].len() {
            rows[at] = GROUPS[group][row];
            row += 1;
            at += 1;
        } else {
            group += 1;
            row = 0;
        }
    }
    rows
}
