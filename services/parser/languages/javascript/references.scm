; What differs from TypeScript's grammar.

(class_heritage (identifier) @reference.type)
(class_heritage (member_expression object: (_) @qualifier property: (property_identifier) @reference.type))

(formal_parameters (identifier) @hoisted)
(formal_parameters (assignment_pattern left: (identifier) @hoisted))
