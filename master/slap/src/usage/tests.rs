//! Reports as they are read and written, and what is none.

use super::*;

const REPORT: &str = "<?xml version='1.0' encoding='utf-8'?>
<journal><transaction type=\"Sale Packing List\"><title>Resource consumptions</title><start_date></start_date>
<stop_date>2026-11-20 at 23:59:59</stop_date><reference>COMP-2</reference><currency></currency><payment_mode></payment_mode>
<category></category><arrow type=\"Administration\"><source></source><destination></destination></arrow>
<movement><resource>service_module/memory_used</resource><title>x</title><reference>slappart0</reference>
<quantity>12.5</quantity><price>0.0</price><VAT>None</VAT><category>None</category></movement></transaction></journal>";

const PARTITION: &str =
    "<consumption><movement><resource>pages</resource><quantity>3.0</quantity><price> 1e-2
</price><VAT/></movement></consumption>";

fn refused(document: &str) -> String {
    Journal::from_xml(document).unwrap_err().to_string()
}

fn refused_of_partition(document: &str) -> String {
    Consumption::from_xml(document).unwrap_err().to_string()
}

#[test]
fn a_report_is_read() {
    let journal = Journal::from_xml(REPORT).unwrap();
    assert_eq!(journal.transactions[0].reference, "COMP-2");
    let movement = &journal.transactions[0].movements[0];
    assert_eq!(movement.reference.as_deref(), Some("slappart0"));
    assert_eq!(movement.quantity.value(), 12.5);
    assert_eq!(Journal::from_xml(&journal.to_xml()).unwrap(), journal);
}

#[test]
fn a_partitions_report_is_read_and_its_numbers_stay_as_they_are_written() {
    let consumption = Consumption::from_xml(PARTITION).unwrap();
    let [movement] = &consumption.movements[..] else {
        panic!("{consumption:?}")
    };
    assert_eq!(movement.reference, None);
    assert_eq!(movement.quantity.to_string(), "3.0");
    assert_eq!(movement.price.to_string(), "1e-2");
    assert_eq!(
        consumption.to_xml(),
        "<?xml version=\"1.0\"?>\n<consumption><movement><resource>pages</resource><quantity>3.0</quantity><price>1e-2</price>\
         <VAT></VAT></movement></consumption>"
    );
}

#[test]
fn numbers_are_those_of_xml_schema() {
    for good in [
        "1", "-1.50", "+.5", "3.", "1E9", "INF", "-INF", "NaN", "\n2 ",
    ] {
        assert!(good.parse::<Amount>().is_ok(), "{good}");
    }
    for bad in [
        "", "1,5", "inf", "nan", "infinity", "0x1", "1e", "-", "e1", "1 2",
    ] {
        assert!(bad.parse::<Amount>().is_err(), "{bad}");
    }
    for (number, text) in [
        (3.0, "3.0"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (f64::INFINITY, "INF"),
        (f64::NEG_INFINITY, "-INF"),
    ] {
        assert_eq!(Amount::from(number).to_string(), text);
        assert_eq!(text.parse::<Amount>().unwrap().value(), number);
    }
    assert_eq!(Amount::from(f64::NAN).to_string(), "NaN");
}

#[test]
fn what_is_no_report_is_refused_in_words() {
    assert_eq!(
        refused("<journal/>"),
        "the usage report has no `<transaction>` where one must be, in `<journal>`: found its end"
    );
    assert_eq!(
        refused(&REPORT.replace("12.5", "much")),
        "`<quantity>` in the usage report says `much`, which is no number"
    );
    assert_eq!(
        refused(&REPORT.replace("<currency></currency>", "<gold/>")),
        "the usage report has no `<currency>` where one must be, in `<transaction>`: found `<gold>`"
    );
    assert_eq!(
        refused(&REPORT.replace(" type=\"Administration\"", "")),
        "`<arrow>` in the usage report has no attribute `type`"
    );
    assert_eq!(
        refused("nothing"),
        "the usage report has no `<journal>` where one must be, in `<document>`: found its end"
    );
    assert_eq!(
        refused(&"<a>".repeat(100_000)),
        "the usage report cannot be read"
    );
    assert_eq!(refused("<a"), "the usage report cannot be read");
}

#[test]
fn what_the_schema_forbids_is_refused_in_words() {
    assert_eq!(
        refused(PARTITION),
        "the usage report has no `<journal>` where one must be, in `<document>`: found `<consumption>`"
    );
    assert_eq!(
        refused_of_partition("<consumption/>"),
        "the usage report has no `<movement>` where one must be, in `<consumption>`: found its end"
    );
    assert_eq!(
        refused_of_partition(&PARTITION.replace("pages", "<b>pages</b>")),
        "`<resource>` in the usage report must be text, and has elements"
    );
    assert_eq!(
        refused_of_partition(&PARTITION.replace("<movement>", "<movement>three")),
        "`<movement>` in the usage report has text of its own, where only elements may be"
    );
    assert_eq!(
        refused_of_partition(&PARTITION.replace("<VAT/>", "<VAT rate='1'/>")),
        "`<VAT>` in the usage report has an attribute `rate`, which it may not"
    );
    assert_eq!(
        refused_of_partition(&PARTITION.replace("<VAT/>", "<VAT rate=1/>")),
        "the usage report cannot be read"
    );
    assert_eq!(
        refused_of_partition(&PARTITION.replace("<VAT/>", "<VAT/><VAT/>")),
        "the usage report has no `<category>` where one must be, in `<movement>`: found `<VAT>`"
    );
}
