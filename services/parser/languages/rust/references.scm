; Every used name. In the arguments of a macro only names are known, so its calls are plain names.

(identifier) @reference.name
(type_identifier) @reference.type
(field_initializer field: (field_identifier) @reference.name)
(field_expression value: (_) @qualifier field: (field_identifier) @reference.name)
(scoped_identifier path: (_) @qualifier name: (identifier) @reference.name)
(scoped_type_identifier path: (_) @qualifier name: (type_identifier) @reference.type)

(call_expression function: (identifier) @reference.call arguments: (arguments) @arguments)
(call_expression function: (scoped_identifier path: (_) @qualifier name: (identifier) @reference.call) arguments: (arguments) @arguments)
(call_expression function: (field_expression value: (_) @qualifier field: (field_identifier) @reference.call) arguments: (arguments) @arguments)
(call_expression function: (generic_function function: (identifier) @reference.call) arguments: (arguments) @arguments)
(call_expression function: (generic_function function: (scoped_identifier path: (_) @qualifier name: (identifier) @reference.call)) arguments: (arguments) @arguments)
(call_expression function: (generic_function function: (field_expression value: (_) @qualifier field: (field_identifier) @reference.call)) arguments: (arguments) @arguments)
(macro_invocation macro: (identifier) @reference.call)
(macro_invocation macro: (scoped_identifier path: (_) @qualifier name: (identifier) @reference.call))

(lifetime (identifier) @ignore)
(label (identifier) @ignore)
(attribute (identifier) @ignore)

; Names in patterns. The Go part takes those in capitals for constants and variants.
(parameter pattern: (identifier) @local)
(closure_parameters (identifier) @local)
(let_declaration pattern: (identifier) @local) @declaration
(let_condition pattern: (identifier) @local)
(for_expression pattern: (identifier) @local)
(match_pattern (identifier) @local)
(tuple_pattern (identifier) @local)
(tuple_struct_pattern (identifier) @local)
(slice_pattern (identifier) @local)
(reference_pattern (identifier) @local)
(ref_pattern (identifier) @local)
(mut_pattern (identifier) @local)
(or_pattern (identifier) @local)
(captured_pattern . (identifier) @local)
(field_pattern name: (shorthand_field_identifier) @local)
(field_pattern pattern: (identifier) @local)
(type_parameters (type_identifier) @hoisted)
(constrained_type_parameter left: (type_identifier) @hoisted)

(function_item) @block
(function_signature_item) @block
(struct_item) @block
(enum_item) @block
(trait_item) @block
(impl_item) @block
(type_item) @block
(closure_expression) @block
(block) @block
(match_arm) @block
(for_expression) @block
(if_expression) @block
(while_expression) @block
