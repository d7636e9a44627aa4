; Every used name. What is bound locally is told by @local and its block.

(identifier) @reference.name
(type_identifier) @reference.type
(selector_expression operand: (_) @qualifier field: (field_identifier) @reference.name)
(qualified_type package: (package_identifier) @qualifier name: (type_identifier) @reference.type)

(call_expression function: (identifier) @reference.call arguments: (argument_list) @arguments)
(call_expression function: (selector_expression operand: (_) @qualifier field: (field_identifier) @reference.call) arguments: (argument_list) @arguments)
; f[T](x) and pkg.F[T](x): with one argument the grammar takes them for conversions.
(type_conversion_expression type: (generic_type type: (type_identifier) @reference.call))
(type_conversion_expression type: (generic_type type: (qualified_type package: (package_identifier) @qualifier name: (type_identifier) @reference.call)))

(parameter_declaration name: (identifier) @local)
(variadic_parameter_declaration name: (identifier) @local)
(type_parameter_declaration name: (identifier) @local)
(short_var_declaration left: (expression_list (identifier) @local)) @declaration
(var_spec (identifier) @local) @declaration
(const_spec (identifier) @local) @declaration
(type_spec name: (type_identifier) @local) @declaration
(type_alias name: (type_identifier) @local) @declaration
(range_clause left: (expression_list (identifier) @local)) @declaration
(receive_statement left: (expression_list (identifier) @local)) @declaration
(type_switch_statement alias: (expression_list (identifier) @local))

(function_declaration) @block
(method_declaration) @block
(func_literal) @block
(function_type) @block
(method_elem) @block
(type_spec) @block
(type_alias) @block
(block) @block
(if_statement) @block
(for_statement) @block
(expression_switch_statement) @block
(type_switch_statement) @block
(expression_case) @block
(type_case) @block
(default_case) @block
(communication_case) @block
