; Every used name, in what the grammars of JavaScript and TypeScript have in common.

(identifier) @reference.name
(shorthand_property_identifier) @reference.name
(member_expression object: (_) @qualifier property: (property_identifier) @reference.name)

(call_expression function: (identifier) @reference.call arguments: (arguments) @arguments)
(call_expression function: (member_expression object: (_) @qualifier property: (property_identifier) @reference.call) arguments: (arguments) @arguments)
(new_expression constructor: (identifier) @reference.call)
(new_expression constructor: (identifier) @reference.call arguments: (arguments) @arguments)
(new_expression constructor: (member_expression object: (_) @qualifier property: (property_identifier) @reference.call) arguments: (arguments) @arguments)

(export_specifier alias: (_) @ignore)

(variable_declarator name: (identifier) @hoisted)
(object_pattern (shorthand_property_identifier_pattern) @hoisted)
(object_assignment_pattern left: (shorthand_property_identifier_pattern) @hoisted)
(pair_pattern value: (identifier) @hoisted)
(pair_pattern value: (assignment_pattern left: (identifier) @hoisted))
(array_pattern (identifier) @hoisted)
(array_pattern (assignment_pattern left: (identifier) @hoisted))
(rest_pattern (identifier) @hoisted)
(arrow_function parameter: (identifier) @hoisted)
(for_in_statement left: (identifier) @hoisted)
(catch_clause parameter: (identifier) @hoisted)
