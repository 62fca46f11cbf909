//! What a record of the two input topics means for orders: a change of an order, of a line, or of all of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::runtime::{
    Error,
    columns::{Cell, ColumnType},
    envelope::{self, Change, Malformed, Row},
};

/// Which of the two tables a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Table {
    Orders,
    Details,
}

impl Table {
    /// As the database calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Details => "order_details",
        }
    }
}

/// The operation of the Redis script, with its operands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Operation {
    PutOrder {
        id: String,
        customer_id: String,
        payment_method_id: String,
        num_products: String,
        row: String,
    },
    DeleteOrder {
        id: String,
    },
    PutLine {
        id: String,
        order_id: String,
        product_id: String,
    },
    DeleteLine {
        id: String,
    },
    TruncateOrders,
    TruncateLines,
    /// Moves the position only: a record that says nothing about rows, or one that was dead-lettered.
    Skip,
}

impl Operation {
    /// The script's name for it and its operands.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        match self {
            Self::PutOrder { id, customer_id, payment_method_id, num_products, row } => {
                vec!["order_put", id, customer_id, payment_method_id, num_products, row]
            }
            Self::DeleteOrder { id } => vec!["order_delete", id],
            Self::PutLine { id, order_id, product_id } => vec!["line_put", id, order_id, product_id],
            Self::DeleteLine { id } => vec!["line_delete", id],
            Self::TruncateOrders => vec!["orders_truncate"],
            Self::TruncateLines => vec!["lines_truncate"],
            Self::Skip => vec!["skip"],
        }
    }
}

/// The declared columns of both tables; a configuration may override single ones.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    orders: BTreeMap<String, ColumnType>,
    details: BTreeMap<String, ColumnType>,
}

const ORDERS: &[(&str, &str)] = &[
    ("id", "text"),
    ("customer_id", "int"),
    ("store_id", "int"),
    ("payment_method_id", "int"),
    ("num_products", "int"),
    ("timestamp", "time(ms)"),
];
const DETAILS: &[(&str, &str)] =
    &[("id", "text"), ("order_id", "text"), ("product_id", "text"), ("quantity", "int"), ("price", "decimal(2)")];

impl Columns {
    pub(crate) fn new(orders: &BTreeMap<String, String>, details: &BTreeMap<String, String>) -> Result<Self, Error> {
        let build = |table: &str, declared: &[(&str, &str)], overrides: &BTreeMap<String, String>| {
            let mut columns = BTreeMap::new();
            for (name, text) in declared {
                columns.insert((*name).to_owned(), ColumnType::parse(text)?);
            }
            for (name, text) in overrides {
                let column = columns
                    .get_mut(name)
                    .ok_or_else(|| Error::Config(format!("columns.{table}: there is no column {name} to override")))?;
                let wanted = ColumnType::parse(text)?;
                if std::mem::discriminant(column) != std::mem::discriminant(&wanted) {
                    return Err(Error::Config(format!(
                        "columns.{table}.{name}: only the scale of a decimal and the unit of a time can be overridden"
                    )));
                }
                *column = wanted;
            }
            Ok(columns)
        };
        Ok(Self { orders: build("orders", ORDERS, orders)?, details: build("order_details", DETAILS, details)? })
    }

    /// Reads a record of `table`.
    pub(crate) fn interpret(
        &self,
        table: Table,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Operation, Malformed> {
        Ok(match (table, envelope::read(key, value)?) {
            (_, Change::Nothing) => Operation::Skip,
            (Table::Orders, Change::Truncate) => Operation::TruncateOrders,
            (Table::Details, Change::Truncate) => Operation::TruncateLines,
            (Table::Orders, Change::Delete(row)) => Operation::DeleteOrder { id: identity(&row)? },
            (Table::Details, Change::Delete(row)) => Operation::DeleteLine { id: identity(&row)? },
            (Table::Orders, Change::Upsert(row)) => {
                let id = identity(&row)?;
                let cells = cells(&self.orders, &row)?;
                Operation::PutOrder {
                    id,
                    customer_id: integer(&cells, "customer_id"),
                    payment_method_id: integer(&cells, "payment_method_id"),
                    num_products: integer(&cells, "num_products"),
                    row: legacy_row(&row, &cells),
                }
            }
            (Table::Details, Change::Upsert(row)) => {
                let id = identity(&row)?;
                let mut cells = cells(&self.details, &row)?;
                Operation::PutLine {
                    id,
                    order_id: text(&mut cells, "order_id"),
                    product_id: text(&mut cells, "product_id"),
                }
            }
        })
    }
}

type Cells<'a> = BTreeMap<&'a str, Option<Cell>>;

fn cells<'a>(columns: &'a BTreeMap<String, ColumnType>, row: &Row) -> Result<Cells<'a>, Malformed> {
    columns.iter().map(|(name, column)| Ok((name.as_str(), row.read(name, *column)?))).collect()
}

/// The primary key of a row, or of a key that is nothing but the value.
fn identity(row: &Row) -> Result<String, Malformed> {
    let cell = match row.read("id", ColumnType::Text)? {
        None => row.read("", ColumnType::Text)?,
        found => found,
    };
    match cell {
        Some(Cell::Text(id)) if !id.is_empty() => Ok(id),
        _ => Err(Malformed::new("NoId", "column id: expected a text, found none")),
    }
}

/// NULL is the empty text, which the script turns into an absent field.
fn integer(cells: &Cells<'_>, name: &str) -> String {
    match cells.get(name) {
        Some(Some(Cell::Int(n))) => n.to_string(),
        _ => String::new(),
    }
}

fn text(cells: &mut Cells<'_>, name: &str) -> String {
    match cells.remove(name) {
        Some(Some(Cell::Text(text))) => text,
        _ => String::new(),
    }
}

/// The row as older scripts stored it under `order:{id}`: its own columns in their order, times in milliseconds.
fn legacy_row(row: &Row, cells: &Cells<'_>) -> String {
    let mut object = Map::new();
    for (name, value) in &row.columns {
        if name.starts_with("__") {
            continue;
        }
        let value = match cells.get(name.as_str()) {
            Some(Some(Cell::Time(ms))) => Value::from(*ms),
            _ => value.clone(),
        };
        object.insert(name.clone(), value);
    }
    Value::Object(object).to_string()
}

/// A completed order as the script stored it: `[order, customer, payment method, products wanted, product...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) order_id: String,
    /// The record's value.
    pub(crate) message: String,
}

impl Claim {
    /// `None` for what the script never writes.
    pub(crate) fn read(stored: &str) -> Option<Self> {
        let parts: Vec<String> = serde_json::from_str(stored).ok()?;
        let [order_id, customer, payment, wanted, products @ ..] = parts.as_slice() else { return None };
        let number = |text: &str| text.parse::<i64>().map_or(Value::Null, Value::from);
        let mut products = products.to_vec();
        products.sort();
        let message = Value::Object(Map::from_iter([
            ("order_id".to_owned(), Value::from(order_id.as_str())),
            ("customer_id".to_owned(), number(customer)),
            ("payment_method_id".to_owned(), number(payment)),
            ("num_products".to_owned(), number(wanted)),
            ("products".to_owned(), Value::from(products)),
        ]));
        Some(Self { order_id: order_id.clone(), message: message.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn columns() -> Columns {
        Columns::new(&BTreeMap::new(), &BTreeMap::new()).expect("defaults")
    }

    fn read(table: Table, key: Option<Value>, value: Option<Value>) -> Result<Operation, Malformed> {
        let (key, value) = (key.map(|k| k.to_string()), value.map(|v| v.to_string()));
        columns().interpret(table, key.as_deref().map(str::as_bytes), value.as_deref().map(str::as_bytes))
    }

    #[test]
    fn an_order_keeps_what_people_read() {
        let after = json!({"id": "o", "customer_id": 1, "store_id": null, "payment_method_id": 2, "num_products": 5,
                           "timestamp": 1_736_265_600_000_i64});
        let put = read(Table::Orders, None, Some(json!({"op": "r", "before": null, "after": after}))).expect("reads");
        assert_eq!(
            put,
            Operation::PutOrder {
                id: "o".into(),
                customer_id: "1".into(),
                payment_method_id: "2".into(),
                num_products: "5".into(),
                row: after.to_string()
            }
        );
    }

    #[test]
    fn a_line_needs_its_id_only_to_go() {
        assert_eq!(read(Table::Details, Some(json!({"id": "l"})), None), Ok(Operation::DeleteLine { id: "l".into() }));
        let after = json!({"id": "l", "order_id": "o", "product_id": null, "quantity": 1, "price": "BM4="});
        assert_eq!(
            read(Table::Details, None, Some(after)),
            Ok(Operation::PutLine { id: "l".into(), order_id: "o".into(), product_id: String::new() })
        );
    }

    #[test]
    fn values_that_fit_no_declaration_are_malformed() {
        let bad = |table, value| read(table, None, Some(value)).expect_err("refused");
        assert_eq!(bad(Table::Orders, json!({"id": "o", "num_products": "five"})).class, "InvalidValue");
        assert_eq!(bad(Table::Details, json!({"id": "l", "order_id": "o", "price": "?"})).class, "InvalidValue");
        assert_eq!(bad(Table::Orders, json!({"num_products": 5})).class, "NoId");
    }

    #[test]
    fn only_scale_and_unit_can_be_overridden() {
        let map = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        assert!(Columns::new(&map("timestamp", "time(us)"), &map("price", "decimal(4)")).is_ok());
        assert!(Columns::new(&map("timestamp", "int"), &BTreeMap::new()).is_err());
        assert!(Columns::new(&map("nothing", "int"), &BTreeMap::new()).is_err());
    }

    #[test]
    fn the_message_has_its_products_sorted() {
        let claim = Claim::read(r#"["o","1","2","2","p2","p1"]"#).expect("a claim");
        assert_eq!(
            claim.message,
            r#"{"order_id":"o","customer_id":1,"payment_method_id":2,"num_products":2,"products":["p1","p2"]}"#
        );
        let empty = Claim::read(r#"["o","","2","0"]"#).expect("a claim");
        assert!(empty.message.contains(r#""customer_id":null"#) && empty.message.contains(r#""products":[]"#));
        assert_eq!(Claim::read("[]"), None);
        assert_eq!(Claim::read("{"), None);
    }
}
