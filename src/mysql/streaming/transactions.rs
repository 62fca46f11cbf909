//! Where transactions begin and end, and the statements between them.

use engine::{error::TaskError, sender::BatchSender};
use mysql_protocol::event::{Event, EventHeader, QueryEvent};

use super::Streamer;
use crate::{
    position::{MySqlPosition, TransactionContext},
    statements::Statements,
};

impl Streamer<'_> {
    pub(super) async fn query(
        &mut self,
        event: &Event<'_>,
        query: &QueryEvent<'_>,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let word = leading_words(query.sql);
        match word.as_str() {
            "BEGIN" => {
                self.progress.begin(Some(query.thread_id));
                return self.begin_metadata(&event.header, out);
            }
            "XA START" | "XA BEGIN" => {
                self.progress.begin(None);
                return Ok(());
            }
            "COMMIT" => return self.complete(&event.header, out),
            "ROLLBACK" => {
                // Rows of tables without transactions stay, and those of the others were logged beside them.
                tracing::warn!("a transaction was rolled back after its rows were logged, at {}", self.place());
                return self.complete(&event.header, out);
            }
            "XA COMMIT" | "XA ROLLBACK" => {
                self.progress.complete();
                return Ok(());
            }
            "XA END" | "SAVEPOINT" | "ROLLBACK TO" => {
                self.passed_over();
                return Ok(());
            }
            _ => {}
        }
        if self.progress.skips_event() {
            self.progress.event_done();
            return Ok(());
        }
        let source_us = self.progress.commit_us().unwrap_or(i64::from(event.header.timestamp) * 1_000_000);
        self.observe(source_us);
        let mut statements = Statements {
            config: self.config,
            schema: self.schema,
            emitter: self.emitter,
            progress: &self.progress,
            server_id: event.header.server_id,
            source_us,
            now_ns: self.now_ns,
        };
        let handled = statements.handle(&word, query, out).await?;
        if handled.schema_changed {
            self.maps.clear();
        }
        if !handled.is_statement {
            self.metrics.events_skipped.add(1);
        }
        if self.progress.transaction().is_some() {
            self.progress.event_done();
        } else {
            self.progress.complete();
        }
        Ok(())
    }

    fn begin_metadata(&mut self, header: &EventHeader, out: &mut BatchSender<MySqlPosition>) -> Result<(), TaskError> {
        if !self.config.events.transaction_metadata {
            return Ok(());
        }
        let id = match self.progress.gtid() {
            Some(gtid) => gtid.to_string(),
            None => format!("file={},pos={}", self.progress.file(), self.progress.event_start()),
        };
        let restored = self.progress.restored_context().filter(|context| context.id() == id);
        if restored.is_none() {
            let ms = self.progress.commit_us().map_or(i64::from(header.timestamp) * 1000, |us| us / 1000);
            self.emitter.transaction_begin(&id, ms, out);
        }
        let context = restored.unwrap_or_else(|| TransactionContext::new(id));
        if let Some(transaction) = self.progress.transaction() {
            transaction.context = Some(context);
        }
        Ok(())
    }

    pub(super) fn complete(
        &mut self,
        header: &EventHeader,
        out: &mut BatchSender<MySqlPosition>,
    ) -> Result<(), TaskError> {
        let ms = self.progress.commit_us().map_or(i64::from(header.timestamp) * 1000, |us| us / 1000);
        if let Some(context) = self.progress.complete().and_then(|transaction| transaction.context) {
            self.emitter.transaction_end(&context, ms, out);
        }
        self.query = None;
        self.metrics.transactions.add(1);
        Ok(())
    }
}

/// The first words of a statement in upper case, blanks made one: enough to tell BEGIN, COMMIT and the XA statements.
fn leading_words(sql: &[u8]) -> String {
    let text = String::from_utf8_lossy(sql.get(..sql.len().min(64)).unwrap_or(sql));
    let mut words = text.split(|c: char| c.is_ascii_whitespace() || c == ';').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "XA" => format!("XA {}", words.next().unwrap_or_default().to_ascii_uppercase()),
        "ROLLBACK" if words.any(|word| word.eq_ignore_ascii_case("TO")) => "ROLLBACK TO".to_owned(),
        _ => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_told_by_their_first_words() {
        assert_eq!(leading_words(b"BEGIN"), "BEGIN");
        assert_eq!(leading_words(b" commit;"), "COMMIT");
        assert_eq!(leading_words(b"xa\n start X'00',X'',1"), "XA START");
        assert_eq!(leading_words(b"ROLLBACK"), "ROLLBACK");
        assert_eq!(leading_words(b"rollback work to savepoint `s`"), "ROLLBACK TO");
        assert_eq!(leading_words(b"ALTER TABLE t"), "ALTER");
        assert_eq!(leading_words(b""), "");
    }
}
