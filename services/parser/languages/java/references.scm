; Every used name.

(identifier) @reference.name
(type_identifier) @reference.type
(scoped_type_identifier (_) @qualifier . (type_identifier) @reference.type)
(field_access object: (_) @qualifier field: (identifier) @reference.name)
(method_reference . (_) @qualifier (identifier) @reference.name .)
(scoped_identifier scope: (_) @qualifier name: (identifier) @reference.name)

(method_invocation name: (identifier) @reference.call arguments: (argument_list) @arguments)
(method_invocation object: (_) @qualifier name: (identifier) @reference.call arguments: (argument_list) @arguments)
(object_creation_expression type: (type_identifier) @reference.call arguments: (argument_list) @arguments)
(object_creation_expression type: (generic_type . (type_identifier) @reference.call) arguments: (argument_list) @arguments)
(object_creation_expression type: (scoped_type_identifier (_) @qualifier . (type_identifier) @reference.call) arguments: (argument_list) @arguments)

(annotation name: (identifier) @reference.type)
(marker_annotation name: (identifier) @reference.type)
(element_value_pair key: (identifier) @ignore)
(labeled_statement . (identifier) @ignore)
(break_statement (identifier) @ignore)
(continue_statement (identifier) @ignore)
(package_declaration) @opaque

(formal_parameter name: (identifier) @local)
(spread_parameter (variable_declarator name: (identifier) @local))
(catch_formal_parameter name: (identifier) @local)
(lambda_expression parameters: (identifier) @local)
(inferred_parameters (identifier) @local)
(local_variable_declaration declarator: (variable_declarator name: (identifier) @local))
(enhanced_for_statement name: (identifier) @local)
(resource name: (identifier) @local)
(instanceof_expression name: (identifier) @local)
(type_parameter . (type_identifier) @hoisted)

(class_declaration) @block
(interface_declaration) @block
(record_declaration) @block
(method_declaration) @block
(constructor_declaration) @block
(lambda_expression) @block
(block) @block
(for_statement) @block
(enhanced_for_statement) @block
(try_with_resources_statement) @block
(catch_clause) @block
(switch_block) @block
