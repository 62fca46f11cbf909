//! What the story log says about a change.

use crate::orders::change::Operation;

/// The lines about one change, as people's scripts printed them.
pub(super) fn tell(
    lines: &mut Vec<String>,
    operation: &Operation,
    order: &str,
    products: i64,
    wanted: Option<i64>,
    announced: bool,
    complete: bool,
) {
    match operation {
        Operation::PutOrder { .. } => {
            lines.push(format!("Order {order}: Saved to Redis"));
            if let (Some(wanted), false) = (wanted, complete) {
                lines.push(format!("Order {order}: Waiting for {wanted} products..."));
            }
        }
        Operation::PutLine { .. } => {
            lines.push(format!("Processing order_detail for order: {order}"));
            if !announced {
                let of = wanted.map_or_else(|| "?".to_owned(), |wanted| wanted.to_string());
                lines.push(format!("Product {products}/{of} received for order {order}"));
            }
        }
        Operation::DeleteOrder { .. } => lines.push(format!("Order {order}: Deleted from Redis")),
        Operation::DeleteLine { .. } if !order.is_empty() => {
            lines.push(format!("Product removed from order {order}"));
        }
        _ => {}
    }
    if let (true, Some(wanted)) = (announced, wanted) {
        lines.push(format!("Product {products}/{wanted} received - Order {order} COMPLETE!"));
    }
}
