"""Rows of the eight tables of TPC-H, as the specification describes their columns (chapter 4.2), by a generator of
its own: the distributions are those of the specification, the values are not those of any other generator.

Every table has its own random numbers, made of the seed and its name, so that the same seed gives the same rows
whatever else is generated. Comments are words at random; those that queries look for occur as often as specified.
"""

import datetime
import random

REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
NATIONS = [
    ("ALGERIA", 0), ("ARGENTINA", 1), ("BRAZIL", 1), ("CANADA", 1), ("EGYPT", 4), ("ETHIOPIA", 0), ("FRANCE", 3),
    ("GERMANY", 3), ("INDIA", 2), ("INDONESIA", 2), ("IRAN", 4), ("IRAQ", 4), ("JAPAN", 2), ("JORDAN", 4),
    ("KENYA", 0), ("MOROCCO", 0), ("MOZAMBIQUE", 0), ("PERU", 1), ("CHINA", 2), ("ROMANIA", 3), ("SAUDI ARABIA", 4),
    ("VIETNAM", 2), ("RUSSIA", 3), ("UNITED KINGDOM", 3), ("UNITED STATES", 1),
]
SEGMENTS = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"]
PRIORITIES = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"]
INSTRUCTIONS = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"]
MODES = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]
SIZES = ["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"]
FINISHES = ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"]
METALS = ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"]
PACKS = ["SM", "LG", "MED", "JUMBO", "WRAP"]
BOXES = ["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"]
COLOURS = (
    "almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished chartreuse chiffon "
    "chocolate coral cornflower cornsilk cream cyan dark deep dim dodger drab firebrick floral forest frosted gainsboro "
    "ghost goldenrod green grey honeydew hot indian ivory khaki lace lavender lawn lemon light lime linen magenta maroon "
    "medium metallic midnight mint misty moccasin navajo navy olive orange orchid pale papaya peach peru pink plum powder "
    "puff purple red rose rosy royal saddle salmon sandy seashell sienna sky slate smoke snow spring steel tan thistle "
    "tomato turquoise violet wheat white yellow"
).split()
WORDS = (
    "about above according accounts across after against along among around asymptotes at attainments bold braids brave "
    "carefully close courts daring decoys deposits dependencies dolphins doggedly dugouts epitaphs even evenly excuses "
    "express fluffily final foxes frays furiously gifts grouches hockey ideas idle instructions ironic never orbits "
    "packages patterns pending permanent pinto platelets players pearls quickly quiet quietly realms regular requests "
    "ruthless sauternes sentiments sheaves silent slow slyly special stealthy theodolites thin tithes unusual waters "
    "warhorses warthogs"
).split()

FIRST_DAY = datetime.date(1992, 1, 1)
ORDER_DAYS = (datetime.date(1998, 12, 31) - FIRST_DAY).days - 151
TODAY = datetime.date(1995, 6, 17)

# Columns and keys; every foreign key has an index, in both servers the same.
SCHEMA = {
    "region": "r_regionkey INT PRIMARY KEY, r_name CHAR(25) NOT NULL, r_comment VARCHAR(152)",
    "nation": "n_nationkey INT PRIMARY KEY, n_name CHAR(25) NOT NULL, n_regionkey INT NOT NULL, "
              "n_comment VARCHAR(152), KEY (n_regionkey)",
    "supplier": "s_suppkey INT PRIMARY KEY, s_name CHAR(25) NOT NULL, s_address VARCHAR(40) NOT NULL, "
                "s_nationkey INT NOT NULL, s_phone CHAR(15) NOT NULL, s_acctbal DECIMAL(15,2) NOT NULL, "
                "s_comment VARCHAR(101) NOT NULL, KEY (s_nationkey)",
    "part": "p_partkey INT PRIMARY KEY, p_name VARCHAR(55) NOT NULL, p_mfgr CHAR(25) NOT NULL, "
            "p_brand CHAR(10) NOT NULL, p_type VARCHAR(25) NOT NULL, p_size INT NOT NULL, "
            "p_container CHAR(10) NOT NULL, p_retailprice DECIMAL(15,2) NOT NULL, p_comment VARCHAR(23) NOT NULL",
    "partsupp": "ps_partkey INT NOT NULL, ps_suppkey INT NOT NULL, ps_availqty INT NOT NULL, "
                "ps_supplycost DECIMAL(15,2) NOT NULL, ps_comment VARCHAR(199) NOT NULL, "
                "PRIMARY KEY (ps_partkey, ps_suppkey), KEY (ps_suppkey)",
    "customer": "c_custkey INT PRIMARY KEY, c_name VARCHAR(25) NOT NULL, c_address VARCHAR(40) NOT NULL, "
                "c_nationkey INT NOT NULL, c_phone CHAR(15) NOT NULL, c_acctbal DECIMAL(15,2) NOT NULL, "
                "c_mktsegment CHAR(10) NOT NULL, c_comment VARCHAR(117) NOT NULL, KEY (c_nationkey)",
    "orders": "o_orderkey INT PRIMARY KEY, o_custkey INT NOT NULL, o_orderstatus CHAR(1) NOT NULL, "
              "o_totalprice DECIMAL(15,2) NOT NULL, o_orderdate DATE NOT NULL, o_orderpriority CHAR(15) NOT NULL, "
              "o_clerk CHAR(15) NOT NULL, o_shippriority INT NOT NULL, o_comment VARCHAR(79) NOT NULL, "
              "KEY (o_custkey), KEY (o_orderdate)",
    "lineitem": "l_orderkey INT NOT NULL, l_partkey INT NOT NULL, l_suppkey INT NOT NULL, l_linenumber INT NOT NULL, "
                "l_quantity DECIMAL(15,2) NOT NULL, l_extendedprice DECIMAL(15,2) NOT NULL, "
                "l_discount DECIMAL(15,2) NOT NULL, l_tax DECIMAL(15,2) NOT NULL, l_returnflag CHAR(1) NOT NULL, "
                "l_linestatus CHAR(1) NOT NULL, l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, "
                "l_receiptdate DATE NOT NULL, l_shipinstruct CHAR(25) NOT NULL, l_shipmode CHAR(10) NOT NULL, "
                "l_comment VARCHAR(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber), "
                "KEY (l_partkey, l_suppkey), KEY (l_suppkey), KEY (l_shipdate)",
}


class Generator:
    """Writes the tables as files of tab-separated values, which LOAD DATA reads as they are."""

    def __init__(self, scale, seed):
        self.scale, self.seed = scale, seed
        self.suppliers = self.count(10_000)
        self.parts = self.count(200_000)
        self.customers = self.count(150_000)
        self.orders = self.count(1_500_000)
        self.days = [FIRST_DAY + datetime.timedelta(days=day) for day in range(ORDER_DAYS + 160)]

    def count(self, at_one):
        return max(10, round(at_one * self.scale))

    def write(self, directory):
        """One file a table; orders and lineitem belong together and come from one sequence of random numbers."""
        directory.mkdir(parents=True, exist_ok=True)
        makers = {
            "region": self.region, "nation": self.nation, "supplier": self.supplier, "part": self.part,
            "partsupp": self.partsupp, "customer": self.customer,
        }
        for name, rows in makers.items():
            with open(directory / name, "w") as file:
                for row in rows(random.Random(f"{self.seed} {name}")):
                    file.write("\t".join(map(str, row)) + "\n")
        with open(directory / "orders", "w") as orders, open(directory / "lineitem", "w") as lines:
            for order, items in self.orders_with_lines(random.Random(f"{self.seed} orders")):
                orders.write("\t".join(map(str, order)) + "\n")
                lines.writelines("\t".join(map(str, item)) + "\n" for item in items)

    def region(self, rng):
        return ((number, name, comment(rng, 115)) for number, name in enumerate(REGIONS))

    def nation(self, rng):
        return ((number, name, region, comment(rng, 114)) for number, (name, region) in enumerate(NATIONS))

    def supplier(self, rng):
        # Five of ten thousand have complaints, five have recommendations.
        marked = rng.sample(range(1, self.suppliers + 1), max(2, self.suppliers // 1000))
        for key in range(1, self.suppliers + 1):
            nation, text = rng.randrange(25), comment(rng, 60)
            if key in marked:
                what = "Complaints" if marked.index(key) % 2 == 0 else "Recommends"
                text = f"{text[:20].strip()} Customer {rng.choice(WORDS)} {what}"
            yield (key, f"Supplier#{key:09}", address(rng), nation, phone(rng, nation), cents(rng, -99_999, 999_999),
                   text)

    def part(self, rng):
        for key in range(1, self.parts + 1):
            maker = rng.randint(1, 5)
            yield (key, " ".join(rng.sample(COLOURS, 5)), f"Manufacturer#{maker}", f"Brand#{maker}{rng.randint(1, 5)}",
                   f"{rng.choice(SIZES)} {rng.choice(FINISHES)} {rng.choice(METALS)}", rng.randint(1, 50),
                   f"{rng.choice(PACKS)} {rng.choice(BOXES)}", money(price(key)), comment(rng, 20))

    def partsupp(self, rng):
        for part in range(1, self.parts + 1):
            for number in range(4):
                yield (part, self.supplier_of(part, number), rng.randint(1, 9999), cents(rng, 100, 100_000),
                       comment(rng, 120))

    def supplier_of(self, part, number):
        """The four suppliers of a part differ, and each supplier has about as many parts as any other."""
        all_of = self.suppliers
        return (part + number * (all_of // 4 + (part - 1) // all_of)) % all_of + 1

    def customer(self, rng):
        for key in range(1, self.customers + 1):
            nation = rng.randrange(25)
            yield (key, f"Customer#{key:09}", address(rng), nation, phone(rng, nation), cents(rng, -99_999, 999_999),
                   rng.choice(SEGMENTS), comment(rng, 70))

    def orders_with_lines(self, rng):
        clerks = self.count(1000)
        for number in range(self.orders):
            # Keys are sparse: the first eight of every 32. A third of the customers has no orders.
            key = number // 8 * 32 + number % 8 + 1
            customer = rng.randint(1, self.customers)
            while customer % 3 == 0:
                customer = rng.randint(1, self.customers)
            day = rng.randint(0, ORDER_DAYS)
            total, open_lines, lines = 0, 0, []
            count = rng.randint(1, 7)
            for line in range(1, count + 1):
                item, cost = self.line(rng, key, line, day)
                total += cost
                open_lines += item[9] == "O"
                lines.append(item)
            status = "F" if open_lines == 0 else "O" if open_lines == count else "P"
            text = comment(rng, 50)
            if rng.random() < 0.01:
                text = f"{text[:20].strip()} special {rng.choice(WORDS)} requests"
            yield (key, customer, status, money(round(total)), self.days[day], rng.choice(PRIORITIES),
                   f"Clerk#{rng.randint(1, clerks):09}", 0, text), lines

    def line(self, rng, order, number, day):
        part, quantity = rng.randint(1, self.parts), rng.randint(1, 50)
        cost, discount, tax = quantity * price(part), rng.randint(0, 10), rng.randint(0, 8)
        shipped = day + rng.randint(1, 121)
        received = shipped + rng.randint(1, 30)
        flag = rng.choice("RA") if self.day(received) <= TODAY else "N"
        status = "O" if self.day(shipped) > TODAY else "F"
        row = (order, part, self.supplier_of(part, rng.randrange(4)), number, quantity, money(cost),
               f"0.{discount:02}", f"0.{tax:02}", flag, status, self.day(shipped), self.day(day + rng.randint(30, 90)),
               self.day(received), rng.choice(INSTRUCTIONS), rng.choice(MODES), comment(rng, 27))
        return row, cost * (100 + tax) * (100 - discount) / 10_000

    def day(self, number):
        return self.days[number]


def price(part):
    """In cents."""
    return 90_000 + part // 10 % 20_001 + 100 * (part % 1000)


def money(value):
    return f"{value // 100}.{value % 100:02}"


def cents(rng, low, high):
    value = rng.randint(low, high)
    return f"-{money(-value)}" if value < 0 else money(value)


def phone(rng, nation):
    return f"{nation + 10}-{rng.randint(100, 999)}-{rng.randint(100, 999)}-{rng.randint(1000, 9999)}"


def address(rng):
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz 0123456789,", k=rng.randint(10, 40))).strip() or "a"


def comment(rng, about):
    """Words of about so many characters in all, never more than 1.6 times as many."""
    words, length, most = [], 0, about * rng.uniform(0.4, 1.5)
    while length < most:
        word = rng.choice(WORDS)
        if length + len(word) + 1 > most:
            break
        words.append(word)
        length += len(word) + 1
    return " ".join(words)
