// Writes the fixtures of tests/record/java.rs: what Java and Kafka Connect make of known values.
//   javac -cp '<kafka>/*' Fixtures.java && java -cp '<kafka>/*:.' Fixtures numbers > numbers.txt
//                                          java -cp '<kafka>/*:.' Fixtures converters > converters.txt
// Needs Java 19 or later at run time (shortest digits of doubles) and the jars of Kafka Connect 4.3.
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.kafka.connect.data.*;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.SimpleHeaderConverter;

public class Fixtures {
    public static void main(String[] args) {
        if (args[0].equals("numbers")) numbers(); else converters();
    }

    static void numbers() {
        Random random = new Random(7);
        Set<Double> doubles = new LinkedHashSet<>(List.of(0.0, -0.0, 1.0, 0.1, 1e-3, 9.999e-4, 9999999.0, 1e7, 1e23, 2e23, 9e22,
            123456.0, 1.23456789125E8, 1e21, Double.MIN_VALUE, Double.MAX_VALUE, Double.MIN_NORMAL, 4.8726570057E288, 2.2E-322,
            1e22, 1.7976931348623157e308, 2e-3, 100.0, 1234567.125, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY));
        for (int i = 1; i < 40; i++) doubles.add(Double.longBitsToDouble(i));
        for (int e = -324; e <= 308; e += 3) { doubles.add(Double.parseDouble("1e" + e)); doubles.add(Double.parseDouble("-7.5e" + e)); }
        for (int i = 0; i < 500; i++) doubles.add(Double.longBitsToDouble(random.nextLong()));
        for (int i = 0; i < 300; i++) doubles.add((random.nextInt(2_000_000) - 1_000_000) / 1000.0);
        for (double d : doubles) System.out.println("d " + Long.toHexString(Double.doubleToRawLongBits(d)) + " " + Double.toString(d));
        Set<Float> floats = new LinkedHashSet<>(List.of(0.0f, -0.0f, 1.1f, 1e10f, Float.MIN_VALUE, Float.MAX_VALUE, Float.MIN_NORMAL, 1e-3f,
            9999999f, 1e7f, 16777216f, Float.NaN, Float.POSITIVE_INFINITY, 3.4e10f, 2e-44f));
        for (int i = 1; i < 40; i++) floats.add(Float.intBitsToFloat(i));
        for (int i = 0; i < 500; i++) floats.add(Float.intBitsToFloat(random.nextInt()));
        for (int i = 0; i < 200; i++) floats.add((random.nextInt(200_000) - 100_000) / 100f);
        for (float f : floats) System.out.println("f " + Integer.toHexString(Float.floatToRawIntBits(f)) + " " + Float.toString(f));
        List<BigInteger> integers = new ArrayList<>();
        for (long n : new long[] {0, 1, -1, 127, 128, -128, -129, 150, -300, 255, 256, 32767, 32768, -32768, -32769, Long.MAX_VALUE, Long.MIN_VALUE})
            integers.add(BigInteger.valueOf(n));
        for (int bits : new int[] {64, 100, 127, 128, 129, 200, 216, 300})
            for (int i = 0; i < 4; i++) { BigInteger n = new BigInteger(bits, random); integers.add(n); integers.add(n.negate()); }
        integers.add(BigInteger.ONE.shiftLeft(127)); integers.add(BigInteger.ONE.shiftLeft(127).negate());
        integers.add(BigInteger.ONE.shiftLeft(128).negate()); integers.add(BigInteger.TEN.pow(65));
        int[] scales = {0, 1, 2, 6, 7, 10, 30, -3};
        for (BigInteger n : integers) for (int scale : scales) {
            BigDecimal d = new BigDecimal(n, scale);
            System.out.println("n " + n + " " + scale + " " + Base64.getEncoder().encodeToString(n.toByteArray()) + " " + d + " " + d.toPlainString());
        }
    }

    static final Schema OPT = Schema.OPTIONAL_STRING_SCHEMA;
    static final Schema DEFAULTED = SchemaBuilder.string().optional().defaultValue("dflt").build();
    static final Schema REQUIRED_DEFAULT = SchemaBuilder.string().defaultValue("dflt").build();
    static final Schema DEC = Decimal.builder(2).parameter("connect.decimal.precision", "10").build();
    static final Schema KEY = SchemaBuilder.struct().name("k").field("a", Schema.INT32_SCHEMA).field("s", OPT).field("d", DEFAULTED)
        .field("dec", DEC).field("day", Date.builder().optional().build()).field("time", Time.builder().optional().build())
        .field("ts", Timestamp.builder().optional().build()).field("x", Schema.FLOAT64_SCHEMA).field("f", Schema.OPTIONAL_FLOAT32_SCHEMA)
        .field("b", Schema.OPTIONAL_BYTES_SCHEMA).field("t", Schema.OPTIONAL_BOOLEAN_SCHEMA).field("l", SchemaBuilder.array(OPT).optional().build()).build();

    static Struct key(String s, String d, BigDecimal dec, Integer day, Integer time, Long ts, double x, Float f, byte[] b, Boolean t, List<String> l) {
        return new Struct(KEY).put("a", 20).put("s", s).put("d", d).put("dec", dec)
            .put("day", day == null ? null : Date.toLogical(KEY.field("day").schema(), day))
            .put("time", time == null ? null : Time.toLogical(KEY.field("time").schema(), time))
            .put("ts", ts == null ? null : Timestamp.toLogical(KEY.field("ts").schema(), ts)).put("x", x).put("f", f)
            .put("b", b).put("t", t).put("l", l);
    }

    static void converters() {
        Map<String, Map.Entry<Schema, Object>> cases = new LinkedHashMap<>();
        cases.put("key", Map.entry(KEY, key("a\"b\\c\n\té😀/\u007f\u2028\u001f", null, new BigDecimal("1.50"), 18262, 3600500, 1577836800500L, 1e10, 1.1f, new byte[] {1, 2, -1}, true, Arrays.asList("x\"", null))));
        cases.put("key2", Map.entry(KEY, key(null, "d", new BigDecimal("-0.01"), -1, 0, -1L, Double.NaN, Float.POSITIVE_INFINITY, new byte[0], null, null)));
        cases.put("key3", Map.entry(KEY, key("", "", new BigDecimal("0.00"), null, 86399999, 253402300799999L, -0.0, null, null, false, List.of())));
        cases.put("text", Map.entry(Schema.STRING_SCHEMA, "raw \"text\" é"));
        cases.put("int", Map.entry(Schema.INT64_SCHEMA, Long.MIN_VALUE));
        Map<String, Integer> strings = new LinkedHashMap<>(); strings.put("b", 1); strings.put("a", null);
        cases.put("map", Map.entry(SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.OPTIONAL_INT32_SCHEMA).build(), strings));
        cases.put("optmap", Map.entry(SchemaBuilder.map(OPT, Schema.OPTIONAL_INT32_SCHEMA).build(), strings));
        Map<Integer, String> ints = new LinkedHashMap<>(); ints.put(5, "five"); ints.put(1, null);
        cases.put("intmap", Map.entry(SchemaBuilder.map(Schema.INT32_SCHEMA, OPT).doc("a \"doc\"").version(3).build(), ints));
        cases.put("array", Map.entry(SchemaBuilder.array(DEFAULTED).name("list").build(), Arrays.asList("x", null)));
        Schema nulls = SchemaBuilder.struct().field("o", OPT).field("od", DEFAULTED).field("rd", REQUIRED_DEFAULT).build();
        cases.put("nulls", Map.entry(nulls, new Struct(nulls)));
        Schema nod = SchemaBuilder.struct().field("o", OPT).field("od", DEFAULTED).build();
        cases.put("optnulls", Map.entry(nod, new Struct(nod)));
        Schema dec = Decimal.builder(2).optional().defaultValue(new BigDecimal("-1.50")).build();
        Schema decs = SchemaBuilder.struct().field("a", dec).field("b", dec).build();
        cases.put("decimals", Map.entry(decs, new Struct(decs).put("a", new BigDecimal("18446744073709551615.00"))));
        for (var test : cases.entrySet()) {
            Schema schema = test.getValue().getKey(); Object value = test.getValue().getValue();
            for (boolean schemas : new boolean[] {true, false}) for (String format : List.of("BASE64", "NUMERIC")) for (boolean replace : new boolean[] {true, false}) {
                JsonConverter converter = new JsonConverter();
                converter.configure(Map.of("schemas.enable", schemas, "decimal.format", format, "replace.null.with.default", replace), false);
                print(test.getKey() + " " + schemas + " " + format + " " + replace, () -> converter.fromConnectData("t", schema, value));
            }
            print(test.getKey() + " header", () -> new SimpleHeaderConverter().fromConnectHeader("t", "h", schema, value));
        }
    }

    static void print(String name, java.util.function.Supplier<byte[]> bytes) {
        String text;
        try { text = "= " + new String(bytes.get(), StandardCharsets.UTF_8).replace("\n", "\\N"); } catch (Exception e) { text = "! " + e.getMessage(); }
        System.out.println(name + " " + text);
    }
}
