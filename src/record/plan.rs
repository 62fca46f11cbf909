//! The compiled form of a table's records and the walk over it.
//!
//! Everything that is the same for all rows is a literal made once: names, schema blocks, constants, context
//! headers. What the rows of one event share (source block, times) is rendered once per event and kept in the
//! [`EncodeContext`]. What is left per row is a walk over cells. No step allocates once the buffers have grown.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use model::{Cell, Image, Op, RowArena, RowHead, TableVersion};

use crate::{
    CompileError, ConversionFailure, EncodeContext, EncodeError, Format, HeaderConverter, JsonSettings, KeyShape,
    RecordBuffer, RecordSettings, Schema, TableShape, Value,
    buffer::{ContextHeader, Full, Known},
    context::EventKey,
    escape,
    fields::{Fields, RowOf},
    header, json,
    source::SourcePlan,
};

/// A struct with what its converter puts around it.
#[derive(Debug)]
struct Framed {
    prefix: Box<[u8]>,
    fields: Fields,
    suffix: &'static [u8],
}

/// The compiled form of one table version's records for one set of settings.
#[derive(Debug)]
pub struct RecordPlan {
    number: u64,
    topic: Arc<str>,
    key: Option<Framed>,
    /// The key struct as it stands in `__debezium.newkey` and `__debezium.oldkey`.
    key_header: Option<Framed>,
    row: Fields,
    source: SourcePlan,
    /// `{"schema":..,"payload":` where asked for, then `{"before":`.
    value_prefix: Box<[u8]>,
    value_suffix: &'static [u8],
    context: Box<[ContextHeader]>,
    tombstones: bool,
    skip_unchanged: bool,
    mode: ConversionFailure,
}

/// What one row became.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowOutcome {
    /// Records written; 0 for a skipped row.
    pub records: u32,
    /// Values left unset because they could not be converted; the newest is in [`EncodeContext::take_failure`].
    pub failures: u32,
    /// Whether the row was dropped by `skip.messages.without.change`.
    pub skipped: bool,
}

/// The envelope's fields in order.
const ENVELOPE: [&str; 8] = ["before", "after", "source", "transaction", "op", "ts_ms", "ts_us", "ts_ns"];
const NEW_KEY: &str = "__debezium.newkey";
const OLD_KEY: &str = "__debezium.oldkey";

impl RecordPlan {
    /// Lowers a shape.
    ///
    /// # Errors
    /// Shape and table do not fit each other, or a schema lacks what its values need.
    pub fn compile(table: &TableVersion, shape: &TableShape, settings: &RecordSettings) -> Result<Self, CompileError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let fail = |reason: String| CompileError { table: table.id.clone(), reason };
        if !shape.envelope.fields.iter().map(|field| &*field.name).eq(ENVELOPE) {
            return Err(fail("its envelope does not have the eight fields of a change event".into()));
        }
        let json = Format::Json(settings.value);
        let row = Fields::row(table, &shape.row, &shape.fields, settings, json).map_err(fail)?;
        let source = SourcePlan::compile(&shape.source, table, &settings.value).map_err(fail)?;
        let (mut value_prefix, value_suffix) = frame(&shape.envelope, &settings.value).map_err(fail)?;
        value_prefix.extend_from_slice(b"{\"before\":");
        let header_format = match settings.header {
            HeaderConverter::Simple => Format::Header,
            HeaderConverter::Json(settings) => Format::Json(settings),
        };
        let framed = |key: &KeyShape, format| framed(table, key, settings, format).map_err(fail);
        Ok(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            topic: shape.topic.clone(),
            key: shape.key.as_ref().map(|key| framed(key, Format::Json(settings.key))).transpose()?,
            key_header: shape.key.as_ref().map(|key| framed(key, header_format)).transpose()?,
            row,
            source,
            value_prefix: value_prefix.into(),
            value_suffix,
            context: context_headers(settings),
            tombstones: settings.tombstones,
            skip_unchanged: settings.skip_unchanged,
            mode: settings.conversion_failure,
        })
    }

    /// The topic of its records.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// Appends the records of a row.
    ///
    /// | row | records |
    /// |---|---|
    /// | create, read | `c`/`r`, key from the new row |
    /// | update | `u`, key from the new row |
    /// | update that changes the key | `d` with the old key, its tombstone, `c` with the new key |
    /// | delete | `d` with the old key, its tombstone |
    ///
    /// A key change counts as two events of its transaction: the row's [`model::TxBlock`] belongs to the `d`, the `c`
    /// has both orders plus one. Whoever numbers events asks [`RecordPlan::key_changes`].
    ///
    /// # Errors
    /// A value or the row cannot be converted; `out` is then as before.
    pub fn encode_row(
        &self,
        table: &TableVersion,
        arena: &RowArena,
        row: &RowHead,
        ctx: &mut EncodeContext,
        out: &mut RecordBuffer,
    ) -> Result<RowOutcome, EncodeError> {
        ctx.failures = 0;
        let known = out.known(self.number, &self.topic, &self.context);
        let known = known.map_err(|Full| EncodeError::TooLarge { table: table.id.clone() })?;
        let mark = out.mark();
        let mut walk = Walk { plan: self, of: RowOf { table, arena }, row, known, ctx, out };
        match walk.records() {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                out.rollback(mark);
                Err(error)
            }
        }
    }

    /// Whether an update changes the record key, so that it becomes a delete and a create.
    ///
    /// # Errors
    /// A key value cannot be converted.
    pub fn key_changes(
        &self,
        table: &TableVersion,
        arena: &RowArena,
        row: &RowHead,
        ctx: &mut EncodeContext,
    ) -> Result<bool, EncodeError> {
        let (Some(key), Op::Update, Some(before), Some(after)) = (&self.key, row.op, row.before, row.after) else {
            return Ok(false);
        };
        let (before, after) = (arena.image(before), arena.image(after));
        if key.fields.same_cells(arena, before, after) {
            return Ok(false);
        }
        self.differ(&key.fields, RowOf { table, arena }, before, after, ctx)
    }

    /// Whether two images give different values of a struct.
    fn differ(
        &self,
        fields: &Fields,
        of: RowOf<'_>,
        before: &[Cell],
        after: &[Cell],
        ctx: &mut EncodeContext,
    ) -> Result<bool, EncodeError> {
        let (mut left, mut right) = (std::mem::take(&mut ctx.left), std::mem::take(&mut ctx.right));
        left.clear();
        right.clear();
        // What fails here fails again where the record is written, and is counted there.
        let failures = ctx.failures;
        let mut rendered = fields.put(of, before, self.mode, ctx, &mut left);
        std::mem::swap(&mut ctx.nulls, &mut ctx.left_nulls);
        if rendered.is_ok() {
            rendered = fields.put(of, after, self.mode, ctx, &mut right);
        }
        ctx.failures = failures;
        let differ = left != right || ctx.nulls != ctx.left_nulls;
        (ctx.left, ctx.right) = (left, right);
        rendered.map(|()| differ)
    }
}

/// One row on its way through a plan.
struct Walk<'a> {
    plan: &'a RecordPlan,
    of: RowOf<'a>,
    row: &'a RowHead,
    known: Known,
    ctx: &'a mut EncodeContext,
    out: &'a mut RecordBuffer,
}

/// Bytes of a record in the buffer.
type Place = Option<(u32, u32)>;

impl Walk<'_> {
    fn records(&mut self) -> Result<RowOutcome, EncodeError> {
        let context = (self.known.first_header, self.known.headers);
        let records = match self.row.op {
            Op::Create | Op::Read => {
                let after = self.image(self.row.after, "after")?;
                self.change(self.row.op, None, Some(after), 0, context)?;
                1
            }
            Op::Delete => {
                let before = self.image(self.row.before, "before")?;
                let key = self.change(Op::Delete, Some(before), None, 0, context)?;
                1 + self.tombstone(key, context)
            }
            Op::Update => {
                let after = self.image(self.row.after, "after")?;
                let Some(before) = self.row.before else {
                    self.change(Op::Update, None, Some(after), 0, context)?;
                    return Ok(self.outcome(1));
                };
                if self.plan.skip_unchanged && !self.changed(before, after)? {
                    return Ok(RowOutcome { skipped: true, ..RowOutcome::default() });
                }
                if self.plan.key_changes(self.of.table, self.of.arena, self.row, self.ctx)? {
                    let headers = self.key_headers(NEW_KEY, after)?;
                    let key = self.change(Op::Delete, Some(before), None, 0, headers)?;
                    let tombstones = self.tombstone(key, headers);
                    let headers = self.key_headers(OLD_KEY, before)?;
                    self.change(Op::Create, None, Some(after), 1, headers)?;
                    2 + tombstones
                } else {
                    self.change(Op::Update, Some(before), Some(after), 0, context)?;
                    1
                }
            }
        };
        Ok(self.outcome(records))
    }

    fn outcome(&self, records: u32) -> RowOutcome {
        RowOutcome { records, failures: self.ctx.failures, skipped: false }
    }

    fn image(&self, image: Option<Image>, which: &str) -> Result<Image, EncodeError> {
        image.ok_or_else(|| self.error(format!("the row has no {which} image")))
    }

    fn error(&self, reason: String) -> EncodeError {
        EncodeError::Row { table: self.of.table.id.clone(), reason }
    }

    fn full(&self) -> EncodeError {
        EncodeError::TooLarge { table: self.of.table.id.clone() }
    }

    /// Whether the row struct of an update differs.
    fn changed(&mut self, before: Image, after: Image) -> Result<bool, EncodeError> {
        let (before, after) = (self.of.arena.image(before), self.of.arena.image(after));
        if self.plan.row.same_cells(self.of.arena, before, after) {
            return Ok(false);
        }
        self.plan.differ(&self.plan.row, self.of, before, after, self.ctx)
    }

    /// One change event; gives the place of its key.
    fn change(
        &mut self,
        op: Op,
        before: Option<Image>,
        after: Option<Image>,
        tx_shift: i64,
        headers: (u32, u32),
    ) -> Result<Place, EncodeError> {
        let key = match (&self.plan.key, after.or(before)) {
            (Some(key), Some(image)) => Some(self.framed(key, image)?),
            _ => None,
        };
        let start = self.out.bytes.len();
        self.out.bytes.extend_from_slice(&self.plan.value_prefix);
        self.row_struct(before)?;
        self.out.bytes.extend_from_slice(b",\"after\":");
        self.row_struct(after)?;
        self.event()?;
        let out = &mut self.out.bytes;
        out.extend_from_slice(&self.ctx.event.head);
        if self.plan.source.has_ordinal() {
            json::integer(i64::from(self.row.ordinal), out);
            out.extend_from_slice(&self.ctx.event.tail);
        }
        match self.row.tx.and_then(|tx| self.of.arena.transaction(tx)) {
            None => out.extend_from_slice(b",\"transaction\":null,\"op\":\""),
            Some((id, block)) => {
                out.extend_from_slice(b",\"transaction\":{\"id\":");
                escape::quoted(id, out);
                out.extend_from_slice(b",\"total_order\":");
                json::integer(block.total_order.saturating_add(tx_shift), out);
                out.extend_from_slice(b",\"data_collection_order\":");
                json::integer(block.data_collection_order.saturating_add(tx_shift), out);
                out.extend_from_slice(b"},\"op\":\"");
            }
        }
        out.extend_from_slice(op.letter().as_bytes());
        out.extend_from_slice(&self.ctx.event.times);
        out.extend_from_slice(self.plan.value_suffix);
        let value = self.out.since(start).map_err(|Full| self.full())?;
        self.push(key, Some(value), headers);
        Ok(key)
    }

    fn tombstone(&mut self, key: Place, headers: (u32, u32)) -> u32 {
        if self.plan.tombstones {
            self.push(key, None, headers);
        }
        u32::from(self.plan.tombstones)
    }

    fn push(&mut self, key: Place, value: Place, (first_header, headers): (u32, u32)) {
        let topic = self.known.topic;
        self.out.records.push(crate::RecordRef { topic, partition: None, key, value, first_header, headers });
    }

    fn row_struct(&mut self, image: Option<Image>) -> Result<(), EncodeError> {
        match image {
            None => {
                self.out.bytes.extend_from_slice(b"null");
                Ok(())
            }
            Some(image) => {
                let cells = self.of.arena.image(image);
                self.plan.row.put(self.of, cells, self.plan.mode, self.ctx, &mut self.out.bytes)
            }
        }
    }

    fn framed(&mut self, framed: &Framed, image: Image) -> Result<(u32, u32), EncodeError> {
        let start = self.out.bytes.len();
        self.out.bytes.extend_from_slice(&framed.prefix);
        let cells = self.of.arena.image(image);
        framed.fields.put(self.of, cells, self.plan.mode, self.ctx, &mut self.out.bytes)?;
        self.out.bytes.extend_from_slice(framed.suffix);
        self.out.since(start).map_err(|Full| self.full())
    }

    /// The header with the other key of a key change, then the context headers.
    fn key_headers(&mut self, name: &str, image: Image) -> Result<(u32, u32), EncodeError> {
        let Some(framed) = &self.plan.key_header else { return Ok((self.known.first_header, self.known.headers)) };
        let name = self.out.append(name.as_bytes()).map_err(|Full| self.full())?;
        let (start, end) = self.framed(framed, image)?;
        let first = crate::buffer::index(self.out.headers.len()).map_err(|Full| self.full())?;
        self.out.headers.push((name, Some(start..end)));
        self.out.repeat_headers(self.known);
        Ok((first, self.known.headers.saturating_add(1)))
    }

    /// Makes sure the context holds the rendered source block and times of the row's event.
    fn event(&mut self) -> Result<(), EncodeError> {
        let (arena, row) = (self.of.arena, self.row);
        let key =
            EventKey { arena: arena.filling(), plan: self.plan.number, event: row.event.0, snapshot: row.snapshot };
        if self.ctx.event.key == Some(key) {
            return Ok(());
        }
        let Some(event) = arena.event(row.event) else {
            return Err(self.error("the row belongs to no event".into()));
        };
        let cache = &mut self.ctx.event;
        cache.key = None;
        cache.head.clear();
        cache.tail.clear();
        cache.times.clear();
        cache.head.extend_from_slice(b",\"source\":");
        self.plan
            .source
            .render(arena, event, row, &mut cache.head, &mut cache.tail)
            .map_err(|reason| EncodeError::Row { table: self.of.table.id.clone(), reason })?;
        cache.times.extend_from_slice(b"\",\"ts_ms\":");
        json::integer(event.read_ns.div_euclid(1_000_000), &mut cache.times);
        cache.times.extend_from_slice(b",\"ts_us\":");
        json::integer(event.read_ns.div_euclid(1_000), &mut cache.times);
        cache.times.extend_from_slice(b",\"ts_ns\":");
        json::integer(event.read_ns, &mut cache.times);
        cache.times.push(b'}');
        cache.key = Some(key);
        Ok(())
    }
}

/// What a converter puts before and after a payload.
fn frame(schema: &Schema, settings: &JsonSettings) -> Result<(Vec<u8>, &'static [u8]), String> {
    let mut prefix = Vec::new();
    if !settings.schemas_enable {
        return Ok((prefix, b""));
    }
    json::write_schema_prefix(schema, settings, &mut prefix).map_err(|error| error.to_string())?;
    Ok((prefix, b"}"))
}

fn framed(table: &TableVersion, key: &KeyShape, settings: &RecordSettings, format: Format) -> Result<Framed, String> {
    let (prefix, suffix) = match &format {
        Format::Json(settings) => frame(&key.schema, settings)?,
        Format::Header => (Vec::new(), b"".as_slice()),
    };
    let fields = Fields::key(table, &key.schema, &key.fields, settings, format)?;
    Ok(Framed { prefix: prefix.into(), fields, suffix })
}

/// The context headers as their converter writes them; each has a required string schema.
pub(crate) fn context_headers(settings: &RecordSettings) -> Box<[ContextHeader]> {
    let schema = Schema::new(crate::Type::String);
    let mut headers = Vec::new();
    for (name, text) in &settings.context_headers {
        let mut bytes = Vec::new();
        // A text always fits a string schema.
        if header::to_header(&settings.header, &schema, &Value::Text(text.clone()), &mut bytes).is_ok() {
            headers.push((name.clone(), bytes.into()));
        }
    }
    headers.into()
}
