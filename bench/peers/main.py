"""The bench's function for the Functions Framework of Python."""


def main(request):
    if request.path == "/echo":
        return request.get_data()
    return f"hello from python {request.path}\n"
