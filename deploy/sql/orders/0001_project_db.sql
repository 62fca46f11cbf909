-- Tables of the `orders` pipeline's source, in the database the connection names. Applied idempotently.
CREATE TABLE IF NOT EXISTS orders (
  id CHAR(36) NOT NULL PRIMARY KEY,
  customer_id INT,
  store_id INT,
  payment_method_id INT,
  num_products INT,
  timestamp DATETIME DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS order_details (
  id CHAR(36) NOT NULL PRIMARY KEY,
  order_id CHAR(36),
  product_id CHAR(36),
  quantity INT,
  price DECIMAL(10,2)
);
