//! The compiled source block: rendered once per event, split where the row's own number goes.

use model::{EventHead, MetaValue, RowArena, RowHead, SnapshotMarker, TableVersion};

use crate::{JsonSettings, SourceField, SourceShape, Type, Value, escape, fields::required_null, json};

/// One field of the block.
#[derive(Debug)]
struct Step {
    /// `{"ts_ms":`, with constants before it.
    prefix: Box<[u8]>,
    from: SourceField,
    ty: Type,
    /// What an unset value becomes, or Connect's text why it cannot be unset.
    null: Result<Box<[u8]>, String>,
}

/// A compiled source block.
#[derive(Debug)]
pub(crate) struct SourcePlan {
    before_ordinal: Box<[Step]>,
    /// The literal before the ordinal; `None` when the block does not show one.
    ordinal: Option<Box<[u8]>>,
    after_ordinal: Box<[Step]>,
    suffix: Box<[u8]>,
}

impl SourcePlan {
    pub(crate) fn compile(shape: &SourceShape, table: &TableVersion, settings: &JsonSettings) -> Result<Self, String> {
        if shape.schema.ty != Type::Struct || shape.schema.fields.len() != shape.fields.len() {
            return Err("the source block's schema does not have the fields of its shape".into());
        }
        let mut literal = b"{".to_vec();
        let (mut before, mut ordinal, mut after) = (Vec::new(), None, Vec::new());
        for (i, (field, from)) in shape.schema.fields.iter().zip(&shape.fields).enumerate() {
            if i > 0 {
                literal.push(b',');
            }
            escape::quoted(&field.name, &mut literal);
            literal.push(b':');
            let constant = match from {
                SourceField::Constant(value) => Some(value.clone()),
                SourceField::Namespace => Some(Value::text(table.id.namespace())),
                SourceField::Table => Some(Value::text(table.id.name())),
                SourceField::Ordinal => {
                    if ordinal.replace(std::mem::take(&mut literal).into_boxed_slice()).is_some() {
                        return Err("the source block shows the row's number twice".into());
                    }
                    continue;
                }
                _ => None,
            };
            if let Some(value) = constant {
                json::write_value(Some(&field.schema), &value, settings, &mut literal)
                    .map_err(|error| format!("the source field {}: {error}", field.name))?;
                continue;
            }
            let mut null = Vec::new();
            let null = match json::write_value(Some(&field.schema), &Value::Null, settings, &mut null) {
                Ok(()) => Ok(null.into_boxed_slice()),
                Err(_) => Err(required_null(&field.name, field.schema.ty)),
            };
            let prefix = std::mem::take(&mut literal).into();
            let step = Step { prefix, from: from.clone(), ty: field.schema.ty, null };
            if ordinal.is_some() { after.push(step) } else { before.push(step) }
        }
        literal.push(b'}');
        Ok(Self { before_ordinal: before.into(), ordinal, after_ordinal: after.into(), suffix: literal.into() })
    }

    /// Whether a row's number goes between head and tail.
    pub(crate) fn has_ordinal(&self) -> bool {
        self.ordinal.is_some()
    }

    /// Renders the block of an event into what stands before and after the row's number; without a number all of it
    /// is `head`.
    pub(crate) fn render(
        &self,
        arena: &RowArena,
        event: &EventHead,
        row: &RowHead,
        head: &mut Vec<u8>,
        tail: &mut Vec<u8>,
    ) -> Result<(), String> {
        for step in &self.before_ordinal {
            step.put(arena, event, row.snapshot, head)?;
        }
        let tail = match &self.ordinal {
            Some(literal) => {
                head.extend_from_slice(literal);
                tail
            }
            None => head,
        };
        for step in &self.after_ordinal {
            step.put(arena, event, row.snapshot, tail)?;
        }
        tail.extend_from_slice(&self.suffix);
        Ok(())
    }
}

impl Step {
    fn put(
        &self,
        arena: &RowArena,
        event: &EventHead,
        snapshot: SnapshotMarker,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        out.extend_from_slice(&self.prefix);
        let value = match self.from {
            SourceField::TimeMillis => MetaValue::Int(event.source_us.div_euclid(1000)),
            SourceField::TimeMicros => MetaValue::Int(event.source_us),
            SourceField::TimeNanos => {
                let nanos = event.source_us.checked_mul(1000);
                MetaValue::Int(nanos.ok_or("the event's time is outside the range of nanoseconds")?)
            }
            SourceField::Snapshot => snapshot.text().map_or(MetaValue::Null, MetaValue::Text),
            SourceField::Slot(slot) => arena.slot(event, slot),
            SourceField::Constant(_) | SourceField::Ordinal | SourceField::Namespace | SourceField::Table => {
                MetaValue::Null
            }
        };
        match (value, self.ty) {
            (MetaValue::Null, _) => out.extend_from_slice(self.null.as_ref().map_err(Clone::clone)?),
            (MetaValue::Int(n), Type::Int64 | Type::Int32 | Type::Int16 | Type::Int8) => json::integer(n, out),
            (MetaValue::Text(text), Type::String) => escape::quoted(text, out),
            (_, ty) => return Err(format!("a source field of type {ty:?} got a value of another type")),
        }
        Ok(())
    }
}
