// How a Go program reads a document, that decodes it with encoding/json into the types of
// the OCI image specification (specs-go/v1), and asks no more of it than osbuild's rule: one
// of the two media types, or none and a list of manifests.
//
//	go run readers/go.go *.json
//
// It prints NAME<TAB>accepted or NAME<TAB>refused for each file that is named.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

type platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version"`
	OSFeatures   []string `json:"os.features"`
	Variant      string   `json:"variant"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls"`
	Annotations  map[string]string `json:"annotations"`
	Data         []byte            `json:"data"`
	Platform     *platform         `json:"platform"`
	ArtifactType string            `json:"artifactType"`
}

type index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

func verdict(data []byte) string {
	var read index
	if json.Unmarshal(data, &read) != nil {
		return "refused"
	}
	switch read.MediaType {
	case "application/vnd.oci.image.index.v1+json",
		"application/vnd.docker.distribution.manifest.list.v2+json":
		return "accepted"
	case "":
		if read.Manifests != nil {
			return "accepted"
		}
	}
	return "refused"
}

func main() {
	for _, name := range os.Args[1:] {
		data, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%s\t%s\n", filepath.Base(name), verdict(data))
	}
}
