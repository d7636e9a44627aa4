; Types, and names that TypeScript binds in its own ways.

(type_identifier) @reference.type
(nested_type_identifier module: (_) @qualifier name: (type_identifier) @reference.type)
(extends_clause value: (identifier) @reference.type)
(extends_clause value: (member_expression object: (_) @qualifier property: (property_identifier) @reference.type))

(required_parameter pattern: (identifier) @hoisted)
(optional_parameter pattern: (identifier) @hoisted)
(type_parameter name: (type_identifier) @hoisted)
(index_signature name: (identifier) @ignore)
