{{- define "sso.name" -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "sso.labels" -}}
app.kubernetes.io/name: envoy-sso
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "sso.selector" -}}
app.kubernetes.io/name: envoy-sso
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The image, with a suffix for its tag. A digest pins it. */}}
{{- define "sso.image" -}}
{{- $top := index . 0 -}}
{{- with $top.Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default (print $top.Chart.AppVersion (index $ 1)) }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The filter's configuration; `clusters` by default as the kind names them. */}}
{{- define "sso.config" -}}
{{- $clusters := dict "*" (eq .Values.kind "istio" | ternary "outbound|{port}||{host}" "{host}:{port}") -}}
{{ toYaml (hasKey .Values.config "clusters" | ternary .Values.config (merge (dict "clusters" $clusters) .Values.config)) }}
{{- end }}

{{/* The filter as Envoy's PluginConfig, with the file that holds it. */}}
{{- define "sso.plugin" -}}
{{- $top := index . 0 -}}
name: envoy-sso
failure_policy: FAIL_RELOAD
allow_on_headers_stop_iteration: true
vm_config:
  vm_id: envoy-sso
  runtime: envoy.wasm.runtime.v8
  code: { local: { filename: {{ index . 1 | quote }} } }
  environment_variables: { host_env_keys: {{ toJson $top.Values.variables }} }
configuration:
  "@type": type.googleapis.com/google.protobuf.Struct
  value:
    {{- include "sso.config" $top | nindent 4 }}
{{- end }}

{{/* Envoy clusters of `hosts`. */}}
{{- define "sso.clusters" -}}
{{- range .Values.hosts }}
{{- $port := .port | default 443 | int }}
- name: {{ printf "%s:%d" .host $port | quote }}
  type: LOGICAL_DNS
  connect_timeout: 5s
  # The server gives up kept connections after some seconds; Envoy must do so before it.
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      common_http_protocol_options: { idle_timeout: 4s }
      explicit_http_config: { http_protocol_options: {} }
  load_assignment:
    cluster_name: {{ printf "%s:%d" .host $port | quote }}
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: {{ .host | quote }}, port_value: {{ $port }} } } } }] }]
  {{- if hasKey . "tls" | ternary .tls (eq $port 443) }}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      sni: {{ .host | quote }}
      common_tls_context:
        validation_context:
          trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }
          match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: {{ .host | quote }} } }]
  {{- end }}
{{- end }}
{{- end }}
