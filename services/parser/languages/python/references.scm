; Every used name. A name that is assigned anywhere in a function is local in all of it.

(identifier) @reference.name
(attribute object: (_) @qualifier attribute: (identifier) @reference.name)
(keyword_argument name: (identifier) @ignore)

(call function: (identifier) @reference.call arguments: (_) @arguments)
(call function: (attribute object: (_) @qualifier attribute: (identifier) @reference.call) arguments: (_) @arguments)

(type (identifier) @reference.type)
(type (attribute object: (_) @qualifier attribute: (identifier) @reference.type))
(generic_type (identifier) @reference.type)
(class_definition superclasses: (argument_list (identifier) @reference.type))
(class_definition superclasses: (argument_list (attribute object: (_) @qualifier attribute: (identifier) @reference.type)))

(parameters (identifier) @local)
(lambda_parameters (identifier) @local)
(default_parameter name: (identifier) @local)
(typed_parameter . (identifier) @local)
(typed_default_parameter name: (identifier) @local)
(list_splat_pattern (identifier) @local)
(dictionary_splat_pattern (identifier) @local)
(tuple_pattern (identifier) @hoisted)
(list_pattern (identifier) @hoisted)
(pattern_list (identifier) @hoisted)
(assignment left: (identifier) @hoisted)
(augmented_assignment left: (identifier) @hoisted)
(named_expression name: (identifier) @hoisted)
(for_statement left: (identifier) @hoisted)
(for_in_clause left: (identifier) @hoisted)
(as_pattern_target (identifier) @hoisted)
(as_pattern_target (tuple (identifier) @hoisted))
(global_statement (identifier) @global)
(nonlocal_statement (identifier) @ignore)

(function_definition) @block
(lambda) @block
(list_comprehension) @block
(set_comprehension) @block
(dictionary_comprehension) @block
(generator_expression) @block
