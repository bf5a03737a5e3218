# Functions as their authors write them for Google's Functions Framework.
import functions_framework


@functions_framework.http
def hello(request):
    if request.path == "/fail":
        raise ValueError("on purpose")
    if request.path == "/length":
        return str(len(request.get_data()))
    return f"{request.method} {request.path} {request.args.get('name', 'nobody')}"


seen = []


@functions_framework.cloud_event
def changed(event):
    seen.append(f"{event['id']} {event['type']} {event.get_data()}")
    print("changed", seen[-1], flush=True)
