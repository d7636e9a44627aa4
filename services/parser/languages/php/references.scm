; Used names by where they stand. Variables are no references.

(function_call_expression function: (name) @reference.call arguments: (arguments) @arguments)
(function_call_expression function: (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.call) arguments: (arguments) @arguments)
(scoped_call_expression scope: (_) @qualifier name: (name) @reference.call arguments: (arguments) @arguments)
(member_call_expression object: (_) @qualifier name: (name) @reference.call arguments: (arguments) @arguments)
(nullsafe_member_call_expression object: (_) @qualifier name: (name) @reference.call arguments: (arguments) @arguments)
(object_creation_expression (name) @reference.call)
(object_creation_expression (name) @reference.call (arguments) @arguments)
(object_creation_expression (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.call) (arguments) @arguments)

(member_access_expression object: (_) @qualifier name: (name) @reference.name)
(nullsafe_member_access_expression object: (_) @qualifier name: (name) @reference.name)
(scoped_property_access_expression scope: (_) @qualifier name: (variable_name (name) @reference.name))
(class_constant_access_expression (_) @qualifier . (name) @reference.name)

(class_constant_access_expression . (name) @reference.type)
(class_constant_access_expression . (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.type))
(scoped_call_expression scope: (name) @reference.type)
(scoped_call_expression scope: (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.type))
(scoped_property_access_expression scope: (name) @reference.type)
(named_type (name) @reference.type)
(named_type (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.type))
(base_clause (name) @reference.type)
(base_clause (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.type))
(class_interface_clause (name) @reference.type)
(class_interface_clause (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.type))
(use_declaration (name) @reference.type)
(use_declaration (qualified_name (namespace_name_as_prefix) @qualifier (name) @reference.type))
(attribute (name) @reference.type)

(argument name: (name) @ignore)

; Constants.
(argument (name) @reference.name)
(binary_expression (name) @reference.name)
(assignment_expression right: (name) @reference.name)
(return_statement (name) @reference.name)
(array_element_initializer (name) @reference.name)
