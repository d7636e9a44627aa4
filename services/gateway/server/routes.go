package server

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
)

// route is one HTTP form of an RPC, as its proto says.
type route struct {
	method  string
	pattern string
	path    *regexp.Regexp
	input   protoreflect.MessageDescriptor
	body    string   // field that is the body, "*" for the whole request, empty for none
	bound   []string // fields that the path fills
}

// routes are all HTTP forms of all RPCs. Immutable.
type routes []route

// readRoutes reads the annotations of every service of ours.
func readRoutes() routes {
	var all routes
	for _, file := range []protoreflect.FileDescriptor{
		councilv1.File_witan_council_v1_council_service_proto, ingestv1.File_witan_ingest_v1_ingest_service_proto,
		jobsv1.File_witan_jobs_v1_jobs_service_proto, parserv1.File_witan_parser_v1_parser_service_proto,
		retrievalv1.File_witan_retrieval_v1_retrieval_service_proto, reviewv1.File_witan_review_v1_review_service_proto,
	} {
		services := file.Services()
		for i := range services.Len() {
			methods := services.Get(i).Methods()
			for j := range methods.Len() {
				all = append(all, readMethod(methods.Get(j))...)
			}
		}
	}
	return all
}

func readMethod(m protoreflect.MethodDescriptor) routes {
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	var all routes
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		method, pattern := methodAndPattern(r)
		if method == "" {
			continue
		}
		all = append(all, route{
			method: method, pattern: pattern, path: pathOf(pattern), input: m.Input(), body: r.GetBody(), bound: boundFields(pattern),
		})
	}
	return all
}

func methodAndPattern(r *annotations.HttpRule) (method, pattern string) {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	default:
		return "", ""
	}
}

// pathOf makes "/v1/{name=jobs/*}:wait" an expression that matches its paths.
func pathOf(pattern string) *regexp.Regexp {
	flat := regexp.MustCompile(`\{[^}=]+=([^}]*)\}`).ReplaceAllString(pattern, "$1")
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(flat), `\*`, `[^/:]+`) + "$")
}

func boundFields(pattern string) []string {
	var fields []string
	for _, m := range regexp.MustCompile(`\{([^}=]+)`).FindAllStringSubmatch(pattern, -1) {
		fields = append(fields, m[1])
	}
	return fields
}

// methods are the HTTP methods that a path knows, sorted.
func (rs routes) methods(path string) []string {
	var found []string
	for _, r := range rs {
		if r.path.MatchString(path) {
			found = append(found, r.method)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// checkQuery refuses parameters that the request message has no field for, those that path or body fill, and those that
// are not UTF-8. The mux ignores all of them, so a typing error would silently change the meaning of a call.
func (rs routes) checkQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return errQueryInvalid.Wrap(err)
	}
	rt, ok := rs.of(r)
	refused := errQueryUnknown
	for _, key := range sortedKeys(query) {
		if !ok || !rt.takes(key) {
			refused = refused.Field(strings.ToValidUTF8(key, "\uFFFD"), "is unknown here")
		}
	}
	if len(refused.Fields()) > 0 {
		return refused
	}
	for _, key := range sortedKeys(query) {
		for _, value := range query[key] {
			if !isUTF8(value) {
				return errUTF8.Field(key, "is not UTF-8")
			}
		}
	}
	return nil
}

// of is the route that the mux chose for a request.
func (rs routes) of(r *http.Request) (route, bool) {
	pattern, ok := runtime.HTTPPattern(r.Context())
	if !ok {
		return route{}, false
	}
	text := pattern.String()
	for _, rt := range rs {
		if rt.method == r.Method && rt.pattern == text {
			return rt, true
		}
	}
	return route{}, false
}

// takes says whether a query parameter of this name reaches the request message.
func (rt route) takes(key string) bool {
	if rt.body == "*" {
		return false
	}
	message := rt.input
	var path []string
	names := strings.Split(key, ".")
	for i, name := range names {
		if message == nil {
			return false
		}
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			field = message.Fields().ByJSONName(name)
		}
		if field == nil || field.IsMap() {
			return false
		}
		path = append(path, string(field.Name()))
		message = field.Message()
		if message != nil && i == len(names)-1 && !isScalarMessage(message) {
			return false
		}
	}
	return path[0] != rt.body && !slices.Contains(rt.bound, strings.Join(path, "."))
}

// isScalarMessage says whether a message can be written as one query parameter.
func isScalarMessage(m protoreflect.MessageDescriptor) bool {
	switch m.FullName() {
	case "google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask":
		return true
	default:
		return false
	}
}

func sortedKeys(query url.Values) []string {
	keys := make([]string, 0, len(query))
	for key := range query {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
