; The Go part keeps require, require_relative, load and autoload.
(call !receiver method: (identifier) arguments: (argument_list . (string) .)) @import
(call !receiver method: (identifier) arguments: (argument_list . (simple_symbol) . (string) .)) @import
