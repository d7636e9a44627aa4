// Package qdrant ranks chunks with Qdrant: the search index of a cluster. It implements retrieval.Rankings.
//
// All repositories share one collection, which is named for its layout: what is computed of a chunk, and how. Readers and
// writers use the alias witan_<layout>; behind it lies witan_<layout>_<generation>, so that another generation can take its
// place in one call. A point is a chunk of a file of a repository of an owner (the tenant): its ID is a digest of these and
// of the file's content, so a chunk that is there need not be written again. Its vectors are "hash", the hashed vector, and
// "terms", the part of BM25 that depends on the chunk; the part that depends on the collection is Qdrant's. No source text
// leaves the database.
//
// Every request that reads, ranks or deletes is made in one place, which adds the tenant and the repository.
package qdrant
