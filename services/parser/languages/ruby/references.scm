; Every used name. An identifier that is no local variable is a call.

(identifier) @reference.call
(constant) @reference.type
(scope_resolution scope: (_) @qualifier name: (constant) @reference.type)
(call method: (identifier) @reference.call arguments: (argument_list) @arguments)
(call method: (constant) @reference.call arguments: (argument_list) @arguments)
(call receiver: (_) @qualifier method: (identifier) @reference.call)
(call receiver: (_) @qualifier method: (identifier) @reference.call arguments: (argument_list) @arguments)
(alias name: (identifier) @ignore)

(method_parameters (identifier) @local)
(block_parameters (identifier) @local)
(lambda_parameters (identifier) @local)
(destructured_parameter (identifier) @local)
(optional_parameter name: (identifier) @local)
(splat_parameter name: (identifier) @local)
(keyword_parameter name: (identifier) @local)
(hash_splat_parameter name: (identifier) @local)
(block_parameter name: (identifier) @local)
(assignment left: (identifier) @local)
(operator_assignment left: (identifier) @local)
(left_assignment_list (identifier) @local)
(exception_variable (identifier) @local)
(for pattern: (identifier) @local)

(program) @block
(method) @block
(singleton_method) @block
(class) @block
(module) @block
(do_block) @block
(block) @block
(lambda) @block
