package retrieval_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	typev1 "witan.dev/gen/witan/type/v1"
)

// A language's small repository: who uses the definition of name in file, and how sure that is. Places are written as
// path:line GRADE. Everything that is not listed must not be found with a grade above AMBIGUOUS.
type callersCase struct {
	name    string
	files   map[string]string
	path    string
	target  string
	callers []string
}

func callersCases() []callersCase {
	return []callersCase{
		{
			name: "Go across packages, aliases and modules",
			files: map[string]string{
				"go.mod":           "module example.org/shop\n\ngo 1.26\n",
				"price/price.go":   "package price\n\n// Total adds.\nfunc Total(a, b int) int { return a + b }\n\nfunc twice(a int) int { return Total(a, a) }\n",
				"price/more.go":    "package price\n\nvar start = Total(1, 2)\n",
				"cart/cart.go":     "package cart\n\nimport \"example.org/shop/price\"\n\nfunc Sum() int { return price.Total(1, 2) }\n",
				"cart/alias.go":    "package cart\n\nimport p \"example.org/shop/price\"\n\nfunc Other() int { return p.Total(1, 2) }\n",
				"cart/shadow.go":   "package cart\n\nimport \"example.org/shop/price\"\n\nvar _ = price.Total\n\ntype tally struct{}\n\nfunc (tally) Total(a, b int) int { return 0 }\n\nfunc local() int {\n\tprice := tally{}\n\treturn price.Total(3, 4)\n}\n",
				"tools/go.mod":     "module example.org/tools\n",
				"tools/x/x.go":     "package x\n\nimport \"example.org/shop/price\"\n\nvar N = price.Total(5, 6)\n",
				"other/foreign.go": "package other\n\nimport \"example.com/price\"\n\nvar N = price.Total(5, 6)\n",
			},
			path: "price/price.go", target: "Total",
			callers: []string{
				"price/price.go:6 SAME_FILE", "price/more.go:3 IMPORTED", "cart/cart.go:5 IMPORTED", "cart/alias.go:5 IMPORTED",
				"cart/shadow.go:5 IMPORTED", "tools/x/x.go:5 IMPORTED",
			},
		},
		{
			name: "a Python method by its unique name, self and class",
			files: map[string]string{
				"shop/__init__.py": "",
				"shop/cart.py":     "class Cart:\n    def add_item(self, name, count):\n        return name * count\n\n    def again(self):\n        return self.add_item('a', 1)\n",
				"shop/main.py":     "from .cart import Cart\n\ndef run():\n    cart = Cart()\n    cart.add_item('b', count=2)\n    Cart.add_item(cart, 'c', 3)\n",
				"tests/test_it.py": "from shop import cart as c\n\ndef test_it():\n    thing = c.Cart()\n    assert thing.add_item('x', 2)\n",
			},
			path: "shop/cart.py", target: "add_item",
			callers: []string{"shop/cart.py:6 SAME_FILE", "shop/main.py:6 IMPORTED", "shop/main.py:5 UNIQUE", "tests/test_it.py:5 UNIQUE"},
		},
		{
			name: "a Python function by relative, absolute and re-exporting imports",
			files: map[string]string{
				"src/shop/__init__.py":  "from .util import old_name as renamed\n",
				"src/shop/util.py":      "def old_name(x):\n    return x\n",
				"src/shop/a.py":         "from .util import old_name\n\nprint(old_name(1))\n",
				"src/shop/sub/b.py":     "from ..util import old_name as o\n\nprint(o(1))\n",
				"src/shop/sub/c.py":     "import shop.util\n\nprint(shop.util.old_name(1))\n",
				"src/shop/sub/d.py":     "from shop import util, renamed\n\nprint(util.old_name(1), renamed(2))\n",
				"src/shop/sub/other.py": "from elsewhere import old_name\n\nprint(old_name(1))\n",
			},
			path: "src/shop/util.py", target: "old_name",
			callers: []string{
				"src/shop/__init__.py:1 IMPORTED", "src/shop/a.py:1 IMPORTED", "src/shop/a.py:3 IMPORTED", "src/shop/sub/b.py:1 IMPORTED",
				"src/shop/sub/b.py:3 IMPORTED", "src/shop/sub/c.py:3 IMPORTED", "src/shop/sub/d.py:1 IMPORTED", "src/shop/sub/d.py:3 IMPORTED",
				"src/shop/sub/d.py:3 IMPORTED",
			},
		},
		{
			name: "TypeScript by relative paths, index files, re-exports, aliases and path mappings",
			files: map[string]string{
				"tsconfig.json":      "{\n  // mapped\n  \"compilerOptions\": {\"baseUrl\": \".\", \"paths\": {\"@/*\": [\"src/*\"]},},\n}\n",
				"src/names.ts":       "export function oldName(x: number): number {\n  return x;\n}\n\nexport class Box {\n  open() { return oldName(2); }\n}\n",
				"src/index.ts":       "export { oldName as publicName } from './names';\nexport * from './names';\n",
				"src/left.ts":        "import { oldName } from \"./names\";\n\nexport const one = oldName(1);\n",
				"src/left.js":        "import { oldName } from './names.js';\n\noldName(1);\n",
				"src/deep/under.tsx": "import { publicName, oldName as o } from '..';\n\nexport const two = publicName(1) + o(2);\n",
				"src/deep/mapped.ts": "import * as names from '@/names';\n\nexport const three = names.oldName(3);\n",
				"src/deep/other.ts":  "import { oldName } from 'some-package';\n\noldName(1);\n",
				"src/deep/local.ts":  "function oldName() { return 0; }\n\noldName();\n",
			},
			path: "src/names.ts", target: "oldName",
			callers: []string{
				"src/names.ts:6 SAME_FILE", "src/index.ts:1 IMPORTED", "src/left.ts:1 IMPORTED", "src/left.ts:3 IMPORTED", "src/left.js:1 IMPORTED",
				"src/left.js:3 IMPORTED", "src/deep/under.tsx:1 IMPORTED", "src/deep/under.tsx:1 IMPORTED", "src/deep/under.tsx:3 IMPORTED",
				"src/deep/under.tsx:3 IMPORTED", "src/deep/mapped.ts:3 IMPORTED",
			},
		},
		{
			name: "Java by package and import",
			files: map[string]string{
				"src/main/java/org/shop/Price.java":    "package org.shop;\n\npublic class Price {\n  public static int total(int a) { return a; }\n  int twice() { return total(2); }\n}\n",
				"src/main/java/org/shop/Near.java":     "package org.shop;\n\nclass Near {\n  int run() { return Price.total(1); }\n}\n",
				"src/main/java/org/cart/Far.java":      "package org.cart;\n\nimport org.shop.Price;\n\nclass Far {\n  int run() { return Price.total(1); }\n}\n",
				"src/main/java/org/cart/Static.java":   "package org.cart;\n\nimport static org.shop.Price.total;\n\nclass Static {\n  int run() { return total(1); }\n}\n",
				"src/main/java/org/cart/External.java": "package org.cart;\n\nimport com.elsewhere.Price;\n\nclass External {\n  int run() { return Price.total(1); }\n}\n",
			},
			path: "src/main/java/org/shop/Price.java", target: "total",
			callers: []string{
				"src/main/java/org/shop/Price.java:5 SAME_FILE", "src/main/java/org/shop/Near.java:4 IMPORTED", "src/main/java/org/cart/Far.java:6 IMPORTED",
				"src/main/java/org/cart/Static.java:3 IMPORTED", "src/main/java/org/cart/Static.java:6 IMPORTED",
			},
		},
		{
			name: "Rust by crate, super and workspace paths",
			files: map[string]string{
				"Cargo.toml":           "[workspace]\nmembers = [\"shop\", \"cart\"]\n",
				"shop/Cargo.toml":      "[package]\nname = \"shop-core\"\n",
				"shop/src/lib.rs":      "pub mod price;\npub mod deep;\n\npub fn run() -> i32 { price::total_of(1) }\n",
				"shop/src/price.rs":    "pub fn total_of(a: i32) -> i32 { a }\n\npub fn twice() -> i32 { total_of(2) }\n",
				"shop/src/deep/mod.rs": "use crate::price::total_of;\n\npub fn a() -> i32 { total_of(1) }\n",
				"shop/src/deep/x.rs":   "use super::super::price;\n\npub fn b() -> i32 { price::total_of(1) }\n",
				"cart/Cargo.toml":      "[package]\nname = \"cart\"\n",
				"cart/src/main.rs":     "use shop_core::price::{self, total_of as t};\n\nfn main() { t(1); price::total_of(2); }\n",
				"cart/src/other.rs":    "use elsewhere::price::total_of;\n\nfn other() { total_of(1); }\n",
			},
			path: "shop/src/price.rs", target: "total_of",
			callers: []string{
				"shop/src/price.rs:3 SAME_FILE", "shop/src/lib.rs:4 IMPORTED", "shop/src/deep/mod.rs:1 IMPORTED", "shop/src/deep/mod.rs:3 IMPORTED",
				"shop/src/deep/x.rs:3 IMPORTED", "cart/src/main.rs:1 IMPORTED", "cart/src/main.rs:3 IMPORTED", "cart/src/main.rs:3 IMPORTED",
			},
		},
		{
			name: "Ruby by require_relative and by name",
			files: map[string]string{
				"lib/price.rb":   "class Price\n  def total_of(a)\n    a\n  end\n\n  def twice\n    total_of(2)\n  end\nend\n",
				"lib/cart.rb":    "require_relative 'price'\n\ndef run\n  Price.new.total_of(1)\nend\n",
				"test/test_x.rb": "require 'price'\n\nprice = Price.new\nprice.total_of(3)\n",
			},
			path: "lib/price.rb", target: "total_of",
			callers: []string{"lib/price.rb:7 SAME_FILE", "lib/cart.rb:4 UNIQUE", "test/test_x.rb:4 UNIQUE"},
		},
		{
			name: "PHP by namespace",
			files: map[string]string{
				"composer.json":     "{\"autoload\": {\"psr-4\": {\"Shop\\\\\": \"src/\"}}}\n",
				"src/Price.php":     "<?php\nnamespace Shop;\n\nclass Price {\n    public static function totalOf($a) { return $a; }\n    public function twice() { return self::totalOf(2); }\n}\n",
				"src/Near.php":      "<?php\nnamespace Shop;\n\nclass Near {\n    function run() { return Price::totalOf(1); }\n}\n",
				"src/Cart/Far.php":  "<?php\nnamespace Shop\\Cart;\n\nuse Shop\\Price;\n\nclass Far {\n    function run() { return Price::totalOf(1); }\n}\n",
				"src/Cart/Ext.php":  "<?php\nnamespace Shop\\Cart;\n\nuse Elsewhere\\Price;\n\nclass Ext {\n    function run() { return Price::totalOf(1); }\n}\n",
				"src/Cart/Name.php": "<?php\nnamespace Shop\\Cart;\n\nuse Shop\\Price as P;\n\nclass Name {\n    function run() { return P::totalOf(1); }\n}\n",
			},
			path: "src/Price.php", target: "totalOf",
			callers: []string{
				"src/Price.php:6 SAME_FILE", "src/Near.php:5 IMPORTED", "src/Cart/Far.php:7 IMPORTED", "src/Cart/Name.php:7 IMPORTED",
			},
		},
	}
}

func TestCallersAreFoundByTheRulesOfTheLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range callersCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			dir := repository(t, c.files)
			index := s.index(t, dir, head(t, dir))
			got := s.related(t, index, c.path, lineOf(t, c.files[c.path], c.target), c.target, retrievalv1.Piece_CALLERS)
			var places []string
			for _, p := range got.GetPieces() {
				if p.GetGrade() > typev1.Grade_GRADE_AMBIGUOUS {
					places = append(places, fmt.Sprintf("%s:%d %s", p.GetPath(), p.GetLines().GetStartLine(), strings.TrimPrefix(p.GetGrade().String(), "GRADE_")))
				}
			}
			require.ElementsMatch(t, c.callers, places)
			grades := slices.IsSortedFunc(got.GetPieces(), func(a, b *retrievalv1.Piece) int { return int(b.GetGrade() - a.GetGrade()) })
			require.True(t, grades, "surest first")
		})
	}
}

// lineOf returns the first line of text with a name.
func lineOf(t *testing.T, text, name string) int32 {
	t.Helper()
	for i, line := range strings.Split(text, "\n") {
		if strings.Contains(line, name) && !strings.HasPrefix(line, "//") {
			return int32(i + 1)
		}
	}
	require.FailNow(t, "no such name", name)
	return 0
}

// related asks about a name on a line.
func (s *system) related(t *testing.T, index *retrievalv1.Index, path string, line int32, name string, relations ...retrievalv1.Piece_Relation) *retrievalv1.GetRelatedResponse {
	t.Helper()
	got, err := s.GetRelated(t.Context(), &retrievalv1.GetRelatedRequest{
		Index: index.GetName(), Relations: relations, LimitPerRelation: 100,
		Target: &retrievalv1.GetRelatedRequest_Place{Place: &retrievalv1.Place{Path: path, Name: name, Lines: &typev1.LineRange{StartLine: line, EndLine: line}}},
	})
	require.NoError(t, err)
	return got
}
