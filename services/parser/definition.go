package parser

// Kind says what a definition is.
type Kind int

// Kinds of definitions. KindUnknown is the zero value and is never returned for a definition.
const (
	KindUnknown Kind = iota
	KindFunction
	KindMethod
	KindClass
	KindStruct
	KindInterface
	KindTrait
	KindEnum
	KindType
	KindConstant
	KindVariable
	KindField
	KindModule
	KindMacro
)

// NoDefinition is the index that stands for "none" where an index into Result.Definitions is expected.
const NoDefinition = -1

// Definition is something that a file defines.
type Definition struct {
	Kind Kind
	// Name as written; QualifiedName with its receiver or containers ("Type.method", "module::path::name").
	Name, QualifiedName string
	// Signature is the text up to the body with blanks collapsed, at most MaxSignature bytes.
	Signature string
	// Doc is the documentation without comment marks, at most MaxDoc bytes.
	Doc string
	// Range is the definition itself, FullRange also its documentation, decorators and attributes, NameRange its name.
	Range, FullRange, NameRange Range
	// Parent is the index of the innermost definition around this one, or NoDefinition. It is always smaller than the
	// definition's own index.
	Parent int
	// Exported means visible outside of its file or package by the language's rules or habits.
	Exported bool
	// Test means a test function, or a definition of a file or module that holds tests.
	Test bool
	// Parameters of functions and methods in their order, the receiver (self, this) left out.
	Parameters []Parameter
}

// ParameterKind says what a call must give for a parameter.
type ParameterKind int

// Kinds of parameters.
const (
	// ParameterRequired must be given by each call.
	ParameterRequired ParameterKind = iota
	// ParameterOptional has a default or may be left out.
	ParameterOptional
	// ParameterVariadic takes any number of the remaining positional arguments.
	ParameterVariadic
	// ParameterKeywordVariadic takes any number of the remaining keyword arguments.
	ParameterKeywordVariadic
)

// Parameter is one parameter of a function or method. Name is empty where the source gives none.
type Parameter struct {
	Name string
	// Type as written, empty where there is none.
	Type string
	Kind ParameterKind
	// KeywordOnly parameters are given by name only, PositionalOnly ones never.
	KeywordOnly, PositionalOnly bool
}
